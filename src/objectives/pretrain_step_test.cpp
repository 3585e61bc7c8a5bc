// The fast passes equal the plain ones, for losses and gradients; edge cases of the objectives.
#include "objectives/pretrain_step.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "base/error.h"
#include "objectives/itc.h"
#include "objectives/itm.h"
#include "objectives/step_test.h"
#include "objectives/words.h"

namespace vicha {
namespace {

struct Outcome {
  double total;
  std::vector<at::Tensor> grads;
};

Outcome run(Parts& parts, const Batch& b, bool plain, TextCache* cache = nullptr) {
  Vicha& model = parts.model;
  Rng rng(3);
  RandomDraws draws(rng);
  for (const Parameter& p : model.parameters().parameters()) at::Tensor(p.value).mutable_grad() = at::Tensor();
  const auto running = parts.step.begin(b, draws, 0.0, 0.4, cache, plain);
  const PretrainStep::Result r = parts.step.losses(*running);
  torch::autograd::backward({r.total});
  Outcome out{r.total.item<double>(), {}};
  for (const Parameter& p : model.parameters().parameters()) {
    out.grads.push_back(p.value.grad().defined() ? p.value.grad().clone() : at::Tensor());
  }
  return out;
}

void expect_same(Vicha& model, const Outcome& a, const Outcome& b) {
  EXPECT_NEAR(a.total, b.total, 2e-5 * std::abs(b.total));
  for (std::size_t i = 0; i < a.grads.size(); ++i) {
    const std::string& name = model.parameters().parameters()[i].name;
    ASSERT_EQ(a.grads[i].defined(), b.grads[i].defined()) << name;
    if (!a.grads[i].defined()) continue;
    const double scale = std::max(1e-3, b.grads[i].norm().item<double>());
    EXPECT_LT((a.grads[i] - b.grads[i]).norm().item<double>() / scale, 2e-4) << name;
  }
}

class FastEqualsPlain : public testing::TestWithParam<std::string> {};

TEST_P(FastEqualsPlain, LossAndEveryGradient) {
  ObjectivesOptions objectives = recipe();
  ModelOptions options = tiny();
  const std::string& which = GetParam();
  if (which == "mlm only") objectives.enable_only({"mlm"});
  if (which == "caption positives") objectives.get<ItcOptions>().positives = Positives::kCaption;
  if (which == "no concepts") options.concepts.enabled = false;
  if (which == "masked concepts") options.concepts.mask_padding = true;
  if (which == "one fusion layer") options.text.fusion_layers = 1;
  if (which == "similarity") options.fusion.similarity = objectives.get<WordsOptions>().enabled = true;
  if (which.starts_with("joint")) options.fusion.kind = FusionKind::kJoint;
  if (which == "joint, similarity") options.fusion.similarity = objectives.get<WordsOptions>().enabled = true;
  if (which == "joint, crops") {
    options.regions = {.rows = 2, .columns = 1, .encode = RegionEncoding::kCrops, .region_size = 16};
  }
  if (const auto variant = value_named(kMaeVariantNames, which)) objectives.get<MaeOptions>().variant = *variant;
  Parts parts(objectives, options);
  if (options.fusion.similarity) fill_similarity(parts.model);
  Batch b = batch(11);
  if (which == "no concepts") b.concepts = {};
  expect_same(parts.model, run(parts, b, false), run(parts, b, true));
}

INSTANTIATE_TEST_SUITE_P(Recipes, FastEqualsPlain,
                         testing::Values("vicha", "mlm only", "caption positives", "no concepts", "masked concepts",
                                         "one fusion layer", "similarity", "cross_modal", "uni_cross_modal", "joint",
                                         "joint, similarity", "joint, crops"));

TEST(TextCacheTest, FrozenTextEqualsComputingItAnew) {
  const ObjectivesOptions objectives = recipe();
  Parts parts(objectives);
  parts.model.freeze("text");
  const Batch b = batch(12);
  TextCache cache(1 << 20);
  const Outcome plain = run(parts, b, false);
  expect_same(parts.model, run(parts, b, false, &cache), plain);
  EXPECT_EQ(cache.size(), 4u);
  expect_same(parts.model, run(parts, b, false, &cache), plain);  // now all from the cache
}

TEST(Mlm, ABatchWithoutMaskedWordsGivesZero) {
  ObjectivesOptions objectives = recipe();
  objectives.enable_only({"mlm"});
  Parts parts(objectives);
  Batch b = batch(13);
  MaskedWords& masked = *b.find<MaskedWords>();
  masked.ids = b.text.ids;
  masked.positions.clear();
  masked.labels = at::empty({0}, at::kLong);
  Rng rng(1);
  RandomDraws draws(rng);
  const auto running = parts.step.begin(b, draws, 0.0, 0.4);
  EXPECT_EQ(parts.step.losses(*running).total.item<double>(), 0.0);
}

TEST(Itm, RowsWithoutANegativeAreLeftOut) {
  const at::Tensor logits = at::randn({6, 2});
  const at::Tensor some = at::cat({logits.slice(0, 0, 3), logits.slice(0, 5, 6)});
  const double expected =
      at::cross_entropy_loss(some, at::tensor(std::vector<std::int64_t>{1, 1, 0, 0})).item<double>();
  EXPECT_NEAR(itm_loss(logits, {1, -1}, {-1, 0}).item<double>(), expected, 1e-6);
}

TEST(Itm, EveryPairOfOnePictureStillTrains) {
  ObjectivesOptions objectives = recipe();
  objectives.get<ItcOptions>().positives = Positives::kImageId;
  Parts parts(objectives);
  Batch b = batch(14);
  b.image_ids = at::zeros({4}, at::kLong);  // no negative exists at all
  EXPECT_TRUE(std::isfinite(run(parts, b, false).total));
}

TEST(Draws, NegativesFollowTheWeights) {
  Rng rng(9);
  RandomDraws draws(rng);
  const at::Tensor weights = at::tensor(std::vector<float>{0, 3, 1, 0, 0, 0}).view({2, 3});
  int ones = 0;
  for (int i = 0; i < 4000; ++i) {
    const auto chosen = draws.negatives(weights, NegativeSide::kImage);
    ASSERT_TRUE(chosen[0] == 1 || chosen[0] == 2);
    ASSERT_EQ(chosen[1], -1);
    ones += chosen[0] == 1;
  }
  EXPECT_NEAR(ones / 4000.0, 0.75, 0.03);
}

TEST(Queue, WrapsRound) {
  const ObjectivesOptions objectives = recipe();
  Parts parts(objectives);
  const at::Tensor before = parts.model.queue().images().clone();
  const at::Tensor f = at::randn({9, 10}), g = at::randn({9, 10});
  parts.model.queue().push(f, f, {});
  parts.model.queue().push(g, g, {});
  EXPECT_TRUE(at::equal(parts.model.queue().images().slice(1, 9, 14), g.slice(0, 0, 5).t()));
  EXPECT_TRUE(at::equal(parts.model.queue().images().slice(1, 0, 4), g.slice(0, 5, 9).t()));
  EXPECT_TRUE(at::equal(parts.model.queue().images().slice(1, 4, 9), f.slice(0, 4, 9).t()));
}

TEST(Vicha, TemperatureIsClampedAtTheStart) {
  const ObjectivesOptions objectives = recipe();
  Parts parts(objectives);
  const at::NoGradGuard guard;
  parts.model.temperature().fill_(0.9);
  parts.model.clamp_temperature();
  EXPECT_FLOAT_EQ(parts.model.temperature().item<float>(), 0.5f);
}

TEST(Vicha, FreezesTheConceptEncoderWithoutItsMap) {
  Parts parts(recipe());
  parts.model.freeze("concept_encoder");
  const auto learns = [&](const char* name) { return parts.model.parameters().parameter(name).value.requires_grad(); };
  EXPECT_FALSE(learns("kw_encoder.embeddings.word_embeddings.weight"));
  EXPECT_TRUE(learns("kw_proj.weight"));
  EXPECT_TRUE(learns("visual_encoder.norm.weight"));
  parts.model.freeze("concepts");
  EXPECT_FALSE(learns("kw_proj.weight"));
}

TEST(Vicha, RefusesSizesThatDoNotFit) {
  ObjectivesOptions objectives = recipe();
  ModelOptions options = tiny();
  options.vit.width = 30;  // mae cross-modal needs equal widths
  objectives.get<MaeOptions>().variant = MaeVariant::kCrossModal;
  EXPECT_THROW(Parts(objectives, options), UsageError);
  options = tiny();
  objectives = recipe();
  objectives.get<HitcOptions>().levels = 4;
  EXPECT_THROW(Parts(objectives, options), UsageError);
  EXPECT_THROW(Parts(recipe()).model.freeze("texts"), UsageError);
}

TEST(Distillation, RampsOverTheFirstEpoch) {
  const DistillationOptions d;
  EXPECT_EQ(d.at(0, 0, 100), 0.0);
  EXPECT_DOUBLE_EQ(d.at(0, 50, 100), 0.2);
  EXPECT_DOUBLE_EQ(d.at(1, 0, 100), 0.4);
}

TEST(Contrast, GradientMatchesFiniteDifferences) {
  at::manual_seed(61);
  const at::Tensor sim = at::randn({3, 5}, at::kDouble).set_requires_grad(true), soft = at::randn({3, 5});
  const at::Tensor positives = at::randn({3, 5}).gt(0).logical_or(at::eye(3, 5).to(at::kBool));
  const at::Tensor direction = at::randn({3, 5}, at::kDouble);
  const auto f = [&](double h) {
    return contrast_loss(sim.detach() + h * direction, positives, soft, 0.3).item<double>();
  };
  const auto g = torch::autograd::grad({contrast_loss(sim, positives, soft, 0.3)}, {sim});
  EXPECT_NEAR((g[0] * direction).sum().item<double>(), (f(1e-2) - f(-1e-2)) / 2e-2, 1e-3);
}

}  // namespace
}  // namespace vicha
