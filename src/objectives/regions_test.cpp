// The objectives over regions and tags in a step: what reaches a prediction and what does not, what combines.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "base/error.h"
#include "objectives/region_step_test.h"

namespace vicha {
namespace {

at::Tensor mtm_logits(Parts& parts, const Batch& b, bool plain = false) {
  RepeatedDraws draws(31);
  const auto run = parts.step.begin(b, draws, 0.0, 0.4, nullptr, plain);
  return run->find<MtmStep>()->logits().detach().clone();
}

/// Rows of the logits of a batch's hidden regions that belong to picture i, two each.
at::Tensor of_picture(const at::Tensor& logits, std::int64_t i) { return logits.slice(0, 2 * i, 2 * i + 2); }

class MaskedRegionReach : public testing::TestWithParam<bool> {};

/// Pixels of the hidden regions, in every picture anything else: not a bit of the prediction changes.
TEST_P(MaskedRegionReach, HiddenPixelsDoNotReachThePrediction) {
  Parts parts(region_recipe(), region_model());
  Batch b = region_batch(parts.model.options(), 71);
  const at::Tensor before = mtm_logits(parts, b, GetParam());
  const RegionBatch hidden(b, parts.model.options());
  for (std::int64_t i = 0; i < 4; ++i) hidden.paint_hidden(b, i);
  EXPECT_TRUE(at::equal(mtm_logits(parts, b, GetParam()), before));
}

/// One pixel of a region that is not hidden changes the predictions of its picture, and of no other.
TEST_P(MaskedRegionReach, OtherRegionsReachThePredictionOfTheirPicture) {
  Parts parts(region_recipe(), region_model());
  Batch b = region_batch(parts.model.options(), 71);
  const at::Tensor before = mtm_logits(parts, b, GetParam());
  const RegionBatch hidden(b, parts.model.options());
  hidden.paint_seen(b, 1);
  const at::Tensor after = mtm_logits(parts, b, GetParam());
  EXPECT_FALSE(at::equal(of_picture(after, 1), of_picture(before, 1)));
  for (const std::int64_t other : {0, 2, 3})
    EXPECT_TRUE(at::equal(of_picture(after, other), of_picture(before, other)));
}

/// The tags of hidden regions are in the plain concepts alone; the concepts of the hidden pictures and their captions
/// are read.
TEST_P(MaskedRegionReach, TagsDoNotReachThePredictionButOtherConceptsAndWordsDo) {
  Parts parts(region_recipe(), region_model());
  Batch b = region_batch(parts.model.options(), 71);
  const at::Tensor before = mtm_logits(parts, b, GetParam());
  Batch other = region_batch(parts.model.options(), 71);
  other.concepts.ids = at::where(other.concepts.ids.gt(4), 64 - other.concepts.ids, other.concepts.ids);
  other.find<RegionTargets>()->tags.fill_(0);
  EXPECT_TRUE(at::equal(mtm_logits(parts, other, GetParam()), before));
  Batch concepts = region_batch(parts.model.options(), 71);
  at::Tensor& ids = concepts.find<MaskedRegions>()->concepts.ids;
  ids[2][1] = 64 - ids[2][1];
  const at::Tensor by_concept = mtm_logits(parts, concepts, GetParam());
  EXPECT_FALSE(at::equal(of_picture(by_concept, 2), of_picture(before, 2)));
  EXPECT_TRUE(at::equal(of_picture(by_concept, 0), of_picture(before, 0)));
  Batch words = region_batch(parts.model.options(), 71);
  words.text.ids[0][1] = 64 - words.text.ids[0][1];
  EXPECT_FALSE(at::equal(of_picture(mtm_logits(parts, words, GetParam()), 0), of_picture(before, 0)));
}

INSTANTIATE_TEST_SUITE_P(Paths, MaskedRegionReach, testing::Bool());

/// With patches that a region's border cuts: all that touch are hidden.
TEST(MaskedRegions, HideThePatchesOnTheirBorders) {
  ModelOptions options = region_model();
  options.regions.rows = options.regions.columns = 3;  // over 4 x 4 patches
  Parts parts(region_recipe(), options);
  Batch b = region_batch(options, 72);
  const at::Tensor before = mtm_logits(parts, b);
  const RegionBatch hidden(b, options);
  hidden.paint_hidden(b, 2);
  EXPECT_TRUE(at::equal(mtm_logits(parts, b), before));
}

TEST(MaskedRegions, BothObjectivesReadOnePass) {
  const auto fused_rows = [](const std::vector<std::string_view>& keys) {
    ObjectivesOptions objectives = region_recipe();
    objectives.enable_only(keys);
    Parts parts(objectives, region_model());
    const Batch b = region_batch(parts.model.options(), 73);
    RepeatedDraws draws(31);
    const auto run = parts.step.begin(b, draws, 0.0, 0.4, nullptr, /*plain=*/true);
    parts.step.losses(*run);
    EXPECT_EQ(run->encodings.masked().rows().size(0), 8) << "two regions of each of four pictures";
    return run->encodings.all_fused_rows().size(0);
  };
  EXPECT_EQ(fused_rows({"mrm", "mtm"}), fused_rows({"mtm"}));
}

TEST(RegionObjectives, AreCalledByTheirKeys) {
  Parts parts(region_recipe(), region_model());
  const Batch b = region_batch(parts.model.options(), 74);
  RepeatedDraws draws(31);
  const auto run = parts.step.begin(b, draws, 0.0, 0.4);
  const auto result = parts.step.losses(*run);
  std::vector<std::string> names;
  for (const auto& [name, loss] : result.terms) {
    names.push_back(name);
    EXPECT_TRUE(std::isfinite(loss.item<double>())) << name;
    EXPECT_GT(loss.item<double>(), 0.0) << name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"ita", "irta", "ira", "mrm", "mtm"}));
}

TEST(RegionObjectives, DefaultsAreOffAndWeighTheMethodsWeights) {
  const ObjectivesOptions objectives;
  const std::pair<const char*, double> weights[] = {{"ita", 1}, {"irta", 0.5}, {"ira", 0.5}, {"mrm", 1}, {"mtm", 1}};
  for (const auto& [key, weight] : weights) {
    EXPECT_FALSE(objectives.at(key).enabled) << key;
    EXPECT_EQ(objectives.at(key).weight, weight) << key;
  }
}

std::string refusal(const ObjectivesOptions& objectives, const ModelOptions& options) {
  try {
    Parts(objectives, options);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(RegionObjectives, RefuseWhatCannotBeAndSayWhy) {
  const auto only = [](const char* key) {
    ObjectivesOptions objectives = region_recipe();
    objectives.enable_only({key});
    return objectives;
  };
  ModelOptions cross = region_model(), no_tags = region_model(), no_concepts = region_model();
  cross.fusion.kind = FusionKind::kCross;
  no_tags.regions.tags = 0;
  no_concepts.concepts.enabled = false;
  for (const char* key : {"mrm", "mtm"}) {
    EXPECT_NE(refusal(only(key), cross).find(std::string(key) + ".enabled"), std::string::npos);
    EXPECT_NE(refusal(only(key), cross).find("model.fusion.kind"), std::string::npos);
  }
  ObjectivesOptions multimodal = only("ita");
  multimodal.get<ItaOptions>().level = ItaLevel::kMultimodal;
  EXPECT_NE(refusal(multimodal, cross).find("ita.level"), std::string::npos);
  EXPECT_EQ(refusal(multimodal, region_model()), "");
  EXPECT_NE(refusal(only("mtm"), no_tags).find("data region-tags"), std::string::npos);
  EXPECT_NE(refusal(only("ira"), no_concepts).find("model.concepts.enabled"), std::string::npos);
  for (const char* key : {"ita", "irta"}) EXPECT_EQ(refusal(only(key), cross), "") << key;
  for (const char* key : {"ita", "irta", "mrm", "mtm"}) EXPECT_EQ(refusal(only(key), no_concepts), "") << key;
  ObjectivesOptions pixels = only("mrm");
  pixels.get<MrmOptions>().target = MrmTarget::kPixels;
  EXPECT_EQ(refusal(pixels, region_model()), "");
  ModelOptions features = region_model();
  features.vit.picture = {PictureInput::kFeatures, 4, 4, 6};
  EXPECT_NE(refusal(pixels, features).find("mrm.target"), std::string::npos);
  ModelOptions unknown = region_model();
  unknown.regions.feature_width = 0;
  EXPECT_NE(refusal(only("mrm"), unknown).find("data.regions.store"), std::string::npos);
}

/// Without tags in the batch, and with none anywhere in it, there is nothing to say: 0, not NaN.
TEST(RegionObjectives, ABatchWithoutTagsIsNothing) {
  Parts parts(region_recipe(), region_model());
  Batch b = region_batch(parts.model.options(), 75);
  b.find<RegionTargets>()->tags.fill_(-1);
  *b.find<TaggedRegions>() = {};
  RepeatedDraws draws(31);
  const auto run = parts.step.begin(b, draws, 0.0, 0.4);
  const auto result = parts.step.losses(*run);
  for (const auto& [name, loss] : result.terms) {
    if (name == "ira" || name == "mtm") {
      EXPECT_EQ(loss.item<double>(), 0.0) << name;
    } else {
      EXPECT_GT(loss.item<double>(), 0.0) << name;
    }
  }
  torch::autograd::backward({result.total});
  for (const Parameter& p : parts.model.parameters().parameters()) {
    if (p.value.grad().defined()) {
      EXPECT_TRUE(p.value.grad().isfinite().all().item<bool>()) << p.name;
    }
  }
}

/// Padded tags of a picture are read by the image encoder, as released weights were trained, but no word is compared
/// with them: a picture's parts that count are its regions and real tags.
TEST(Irta, CountsRegionsAndRealTags) {
  ObjectivesOptions objectives = region_recipe();
  objectives.enable_only({"irta"});
  for (const bool similarity : {false, true}) {
    for (const FusionKind kind : {FusionKind::kJoint, FusionKind::kCross}) {
      ModelOptions options = region_model();
      options.fusion.kind = kind;
      options.fusion.similarity = similarity;
      Parts parts(objectives, options);
      const Batch b = region_batch(options, 76);
      RepeatedDraws draws(31);
      const auto run = parts.step.begin(b, draws, 0.0, 0.4);
      EXPECT_GT(parts.step.losses(*run).total.item<double>(), 0.0);
      const auto found = parts.set.find<IrtaObjective>()->parts(run->encodings.image(), b.concepts);
      EXPECT_EQ(found.of_image, (std::vector<std::int64_t>{4 + 3, 4 + 1, 4 + 5, 4 + 0}));
      EXPECT_EQ(found.rows.sizes(), (at::IntArrayRef{4, 4 + 5, 10}));
      EXPECT_TRUE(at::allclose(found.rows.square().sum(2).sqrt(), at::ones({4, 9}), 1e-4, 1e-4));
      EXPECT_EQ(parts.model.parameters().has_parameter("irta_word_proj.weight"), !similarity);
    }
  }
}

}  // namespace
}  // namespace vicha
