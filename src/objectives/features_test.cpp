// A model that reads features of patches does what one on pixels does: with the unfolded pixels as features, and the
// map of the patches' pixels as its own, all numbers and gradients are the same.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>

#include "base/error.h"
#include "models/pair_scorer.h"
#include "nn/position.h"
#include "objectives/itm.h"
#include "objectives/mlm.h"
#include "objectives/step_test.h"

namespace vicha {
namespace {

constexpr std::int64_t kPatch = 8, kNumbers = 3 * kPatch * kPatch;

ModelOptions tiny_on_features(std::int64_t rows = 4, std::int64_t columns = 4, std::int64_t width = kNumbers) {
  ModelOptions options = tiny();
  options.vit.picture = {PictureInput::kFeatures, rows, columns, width};
  return options;
}

Batch as_features(Batch b) {
  const std::int64_t pairs = b.image.size(0);
  b.image = unfold_patches(b.image, kPatch).view({pairs, -1, kNumbers});
  return b;
}

/// The pixel model's name of a parameter of the model on features.
std::string pixel_name(std::string name) {
  const std::string own = "feature_embed.";
  if (const auto at = name.find(own); at != std::string::npos) name.replace(at, own.size(), "patch_embed.proj.");
  return name;
}

/// Row j of what predicts features (channel, row, column) is this row of what predicts pixels (row, column, channel).
at::Tensor pixel_rows() {
  return at::arange(kNumbers, at::kLong).view({kPatch, kPatch, 3}).permute({2, 0, 1}).reshape({-1});
}

/// The pixel model's tensor as the model on features has it.
at::Tensor translated(const std::string& name, const at::Tensor& of_pixels) {
  if (name.starts_with("mae_proj")) return of_pixels.index_select(0, pixel_rows());
  return name.ends_with("feature_embed.weight") ? of_pixels.flatten(1) : of_pixels;
}

void copy_weights(const ParameterStore& pixels, ParameterStore& features) {
  const at::NoGradGuard guard;
  for (std::size_t i = 0; i < features.parameters().size(); ++i) {
    const std::string& name = features.parameters()[i].name;
    features.value(i).copy_(translated(name, pixels.parameter(pixel_name(name)).value));
  }
}

void expect_near(const at::Tensor& a, const at::Tensor& b, const std::string& what, double tolerance) {
  ASSERT_EQ(a.sizes(), b.sizes()) << what;
  const double scale = std::max(1e-3, b.norm().item<double>());
  EXPECT_LE((a - b).norm().item<double>(), tolerance * scale) << what;
}

TEST(OnFeatures, UnfoldedPixelsAsFeaturesGiveTheSameLossesAndGradients) {
  for (const MaeVariant variant : {MaeVariant::kUnimodal, MaeVariant::kUniCrossModal}) {
    ObjectivesOptions objectives = recipe();
    objectives.get<MaeOptions>().variant = variant;
    Parts pixels(objectives), features(objectives, tiny_on_features());
    copy_weights(pixels.model.parameters(), features.model.parameters());
    const Batch a = batch(71), b = as_features(batch(71));
    RepeatedDraws draws(72);
    const auto run_a = pixels.step.begin(a, draws, 0.0, 0.4), run_b = features.step.begin(b, draws, 0.0, 0.4);
    const PretrainStep::Result of_pixels = pixels.step.losses(*run_a), of_features = features.step.losses(*run_b);
    ASSERT_EQ(of_pixels.terms.size(), 5U);
    for (std::size_t i = 0; i < of_pixels.terms.size(); ++i) {
      EXPECT_EQ(of_features.terms[i].first, of_pixels.terms[i].first);
      // What is predicted stands in another order, and so is added up in another.
      const double loss = of_pixels.terms[i].second.item<double>();
      EXPECT_NEAR(of_features.terms[i].second.item<double>(), loss, of_pixels.terms[i].first == "mae" ? 1e-6 : 0.0)
          << of_pixels.terms[i].first;
    }
    of_pixels.total.backward();
    of_features.total.backward();
    for (const Parameter& p : features.model.parameters().parameters()) {
      const at::Tensor& other = pixels.model.parameters().parameter(pixel_name(p.name)).value;
      ASSERT_EQ(p.value.grad().defined(), other.grad().defined()) << p.name;
      if (p.value.grad().defined()) expect_near(p.value.grad(), translated(p.name, other.grad()), p.name, 1e-5);
    }
  }
}

TEST(OnFeatures, PairsAreScoredAsThoseOfPixels) {
  Parts pixels(recipe()), features(recipe(), tiny_on_features());
  copy_weights(pixels.model.parameters(), features.model.parameters());
  const auto scores = [](const Parts& parts, const Batch& b) {
    PairScorer scorer(parts.model, parts.set.find<ItmObjective>()->head());
    scorer.add_images(b.image, b.concepts);
    scorer.add_texts(b.text);
    return scorer.rerank(2).joint_i2t;
  };
  EXPECT_TRUE(at::equal(scores(pixels, batch(73)), scores(features, as_features(batch(73)))));
}

/// Features of any width on a grid that is no square, by the formulas alone.
TEST(OnFeatures, MaskedFeaturesAreThePlainComputation) {
  const std::int64_t rows = 2, columns = 5, numbers = 7, pairs = 4;
  ObjectivesOptions objectives = recipe();
  objectives.enable_only({"mae"});
  Parts parts(objectives, tiny_on_features(rows, columns, numbers));
  Batch b = batch(74);
  at::manual_seed(75);
  b.image = at::randn({pairs, rows * columns, numbers}) * 3 + 1;
  RepeatedDraws draws(76);
  const auto run = parts.step.begin(b, draws, 0.0, 0.0);
  const double loss = parts.step.losses(*run).total.item<double>();
  MaeStep& step = *run->find<MaeStep>();
  const at::Tensor order = step.patch_order(), predicted = step.unimodal();
  const std::int64_t visible = static_cast<std::int64_t>(rows * columns * 0.25), hidden = rows * columns - visible;
  ASSERT_EQ(predicted.sizes(), (at::IntArrayRef{pairs * hidden, numbers}));

  double expected = 0;
  for (std::int64_t i = 0; i < pairs; ++i) {
    for (std::int64_t h = 0; h < hidden; ++h) {
      const at::Tensor patch = b.image[i][order[i][visible + h]].to(at::kDouble);
      const at::Tensor target = (patch - patch.mean()) / (patch.var() + 1e-6).sqrt();
      expected += (predicted[i * hidden + h].to(at::kDouble) - target).square().sum().item<double>();
    }
  }
  EXPECT_NEAR(loss, expected / static_cast<double>(pairs * hidden * numbers), 1e-5);

  // The latent tokens: the visible patches mapped, with their positions, through the blocks.
  const Vit& vit = parts.model.online().vit;
  const ParameterStore& store = parts.model.parameters();
  const at::Tensor weight = store.parameter("visual_encoder.feature_embed.weight").value,
                   bias = store.parameter("visual_encoder.feature_embed.bias").value,
                   positions = store.parameter("visual_encoder.pos_embed").value;
  const at::Tensor tokens = at::matmul(b.image, weight.t()) + bias + positions.slice(1, 1);
  const at::Tensor kept = order.slice(1, 0, visible).unsqueeze(-1).expand({-1, -1, tokens.size(2)});
  const at::Tensor seen = vit.assemble_visible(tokens.gather(1, kept));
  const at::Tensor states =
      vit.run(seen.flatten(0, 1), Segments::uniform(pairs, visible + 1), {}, 0).states.view(seen.sizes());
  expect_near(step.latent(), states, "latent", 1e-5);
}

TEST(OnFeatures, WithoutBlocksTheClassTokenIsThePatchesMean) {
  ModelOptions options = tiny_on_features(2, 3, 9);
  options.vit.depth = 0;
  ObjectivesOptions objectives = recipe();
  objectives.enable_only({"itc", "itm", "mlm", "mae"});
  Parts parts(objectives, options);
  Batch b = batch(77);
  at::manual_seed(78);
  b.image = at::randn({4, 6, 9});
  RepeatedDraws draws(79);
  const auto run = parts.step.begin(b, draws, 0.0, 0.4);
  const PretrainStep::Result result = parts.step.losses(*run);
  const ParameterStore& store = parts.model.parameters();
  const auto value = [&](const char* name) { return store.parameter("visual_encoder." + std::string(name)).value; };
  const at::Tensor tokens = at::matmul(b.image, value("feature_embed.weight").t()) + value("feature_embed.bias") +
                            value("pos_embed").slice(1, 1);
  const at::Tensor cls = value("cls_token")[0] + value("pos_embed").slice(1, 0, 1)[0] + tokens.mean(1);
  const at::Tensor normed = at::layer_norm(cls, {24}, value("norm.weight"), value("norm.bias"), 1e-6);
  expect_near(run->encodings.image().cls, normed, "class tokens", 1e-5);
  result.total.backward();
  for (const char* name : {"feature_embed.weight", "pos_embed", "cls_token", "norm.weight"}) {
    EXPECT_GT(value(name).grad().abs().max().item<double>(), 0.0) << name;
  }
  objectives = recipe();
  EXPECT_THROW(objectives.check(options), UsageError) << "no hidden states to align";
}

TEST(OnFeatures, EveryPatchHiddenLeavesNoMean) {
  ModelOptions options = tiny_on_features(2, 3, 9);
  options.vit.depth = 0;
  ObjectivesOptions objectives = recipe();
  objectives.enable_only({"mae"});
  objectives.get<MaeOptions>().mask_ratio = 1.0;
  Parts parts(objectives, options);
  Batch b = batch(80);
  b.image = at::randn({4, 6, 9});
  RepeatedDraws draws(81);
  const auto run = parts.step.begin(b, draws, 0.0, 0.0);
  EXPECT_TRUE(std::isfinite(parts.step.losses(*run).total.item<double>()));
}

TEST(OnFeatures, ASizeThatNobodyKnowsIsRefused) {
  try {
    Vicha model(tiny_on_features(0, 0, 0), 1);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("data.features.store"), std::string::npos) << error.what();
  }
  MaeOptions mae;
  EXPECT_THROW(mae.check(tiny_on_features(2, 2, 1)), UsageError);
  EXPECT_NO_THROW(mae.check(tiny_on_features(0, 0, 0)));  // before the store is read
}

}  // namespace
}  // namespace vicha
