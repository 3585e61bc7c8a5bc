// The loss functions on their own: values worked out by hand, gradients against finite differences, nothing to average.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "objectives/hitc.h"
#include "objectives/itc.h"
#include "objectives/itm.h"
#include "objectives/mae.h"
#include "objectives/mlm.h"
#include "objectives/slope_test.h"

namespace vicha {
namespace {

TEST(ItcLoss, IsTheMeanOfBothDirectionsAndOfBothTargets) {
  at::manual_seed(61);
  const at::Tensor i2t = at::randn({3, 5}), t2i = at::randn({3, 5}), soft_i2t = at::randn({3, 5}),
                   soft_t2i = at::randn({3, 5});
  double expected = 0;
  for (const auto& [sim, soft] : {std::pair(i2t, soft_i2t), std::pair(t2i, soft_t2i)}) {
    const at::Tensor p = sim.softmax(1), q = soft.softmax(1);
    for (std::int64_t i = 0; i < 3; ++i) {
      expected -= 0.75 * std::log(p[i][i].item<double>()) / 6;
      for (std::int64_t j = 0; j < 5; ++j)
        expected -= 0.25 * q[i][j].item<double>() * std::log(p[i][j].item<double>()) / 6;
    }
  }
  EXPECT_NEAR(itc_loss(i2t, t2i, {}, soft_i2t, soft_t2i, 0.25).item<double>(), expected, 1e-5);
}

TEST(ItcLoss, TheDiagonalAsPositivesIsThePairItself) {
  at::manual_seed(61);
  const at::Tensor sim = at::randn({3, 5}), diagonal = at::eye(3, 5).to(at::kBool);
  EXPECT_NEAR(contrast_loss(sim, diagonal, {}, 0.0).item<double>(), contrast_loss(sim, {}, {}, 0.0).item<double>(),
              1e-6);
}

TEST(ItcLoss, GradientMatchesFiniteDifferences) {
  at::manual_seed(61);
  const at::Tensor t2i = at::randn({3, 5}), soft_i2t = at::randn({3, 5}), soft_t2i = at::randn({3, 5});
  const at::Tensor positives = at::randn({3, 5}).gt(0).logical_or(at::eye(3, 5).to(at::kBool));
  for (const at::Tensor& which : {positives, at::Tensor()}) {
    for (const double alpha : {0.0, 0.4}) {
      expect_slope([&](const at::Tensor& x) { return itc_loss(x, t2i, which, soft_i2t, soft_t2i, alpha); },
                   learned({3, 5}));
      expect_slope([&](const at::Tensor& x) { return itc_loss(t2i, x, which, soft_i2t, soft_t2i, alpha); },
                   learned({3, 5}));
    }
  }
}

TEST(ItcLoss, OneCandidateIsCertain) {
  at::manual_seed(61);
  const at::Tensor sim = at::full({1, 1}, 30.0).set_requires_grad(true);
  for (const double alpha : {0.0, 0.4}) {
    const at::Tensor loss = contrast_loss(sim, {}, at::full({1, 1}, -7.0), alpha);
    EXPECT_EQ(loss.item<double>(), 0.0);
    EXPECT_EQ(torch::autograd::grad({loss}, {sim})[0].item<double>(), 0.0);
  }
}

TEST(LevelLoss, GradientMatchesFiniteDifferencesWithCandidatesHeldFast) {
  at::manual_seed(61);
  const at::Tensor f = learned({3, 4}), g = learned({3, 4}), temperature = at::full({}, 1.0, at::kDouble);
  temperature.set_requires_grad(true);
  const at::Tensor positives = at::eye(3).to(at::kBool).logical_or(at::ones({3, 3}).tril().to(at::kBool));
  for (const at::Tensor& which : {positives, at::Tensor()}) {
    // Every row learns as a query; as a candidate it is a constant.
    const auto held = [&](const at::Tensor& x, const at::Tensor& other) {
      return contrast_loss(at::mm(x, other.detach().t()) / temperature.detach(), which, {}, 0.0) / 2;
    };
    const auto ours = torch::autograd::grad({level_loss(f, g, temperature, which)}, {f, g});
    EXPECT_TRUE(at::allclose(ours[0], torch::autograd::grad({held(f, g)}, {f})[0], 1e-5, 1e-6));
    EXPECT_TRUE(at::allclose(ours[1], torch::autograd::grad({held(g, f)}, {g})[0], 1e-5, 1e-6));
    expect_slope([&](const at::Tensor& x) { return held(x, g); }, f);
    expect_slope([&](const at::Tensor& x) { return held(x, f); }, g);
    expect_slope([&](const at::Tensor& x) { return level_loss(f.detach(), g.detach(), x, which); }, temperature);
  }
}

TEST(ItmLoss, GradientMatchesFiniteDifferences) {
  at::manual_seed(61);
  expect_slope([](const at::Tensor& x) { return itm_loss(x, {1, -1, 0}, {-1, 2, 0}); }, learned({9, 2}));
}

TEST(ItmLoss, PairsWithoutANegativeGetNoGradient) {
  at::manual_seed(61);
  const at::Tensor logits = at::randn({6, 2}).set_requires_grad(true);
  const at::Tensor rows = torch::autograd::grad({itm_loss(logits, {-1, 0}, {1, -1})}, {logits})[0].abs().sum(1);
  EXPECT_EQ(rows.gt(0).to(at::kLong).sum().item<std::int64_t>(), 4);
  EXPECT_EQ(rows[2].item<double>(), 0.0);
  EXPECT_EQ(rows[5].item<double>(), 0.0);
}

TEST(MlmLoss, GradientMatchesFiniteDifferences) {
  at::manual_seed(61);
  const at::Tensor labels = at::tensor(std::vector<std::int64_t>{2, 0, 6, 6}), teacher = at::randn({4, 7}, at::kDouble);
  for (const double alpha : {0.0, 0.4, 1.0}) {
    expect_slope([&](const at::Tensor& x) { return mlm_loss(x, labels, teacher, alpha); }, learned({4, 7}), 1e-4, 1e-6);
  }
}

TEST(MlmLoss, ATeacherThatKnowsTheWordChangesNothing) {
  at::manual_seed(61);
  const at::Tensor labels = at::tensor(std::vector<std::int64_t>{2, 0}), logits = at::randn({2, 5});
  const at::Tensor teacher = 1e4 * at::one_hot(labels, 5).to(at::kFloat);
  EXPECT_NEAR(mlm_loss(logits, labels, teacher, 0.4).item<double>(), mlm_loss(logits, labels, {}, 0.0).item<double>(),
              1e-5);
}

/// Patches 2 and 0 of three are hidden: the prediction has a row for each, in this order.
TEST(MaeLoss, ComparesTheTailOfTheOrder) {
  at::manual_seed(61);
  const at::Tensor order = at::tensor(std::vector<std::int64_t>{1, 2, 0}).view({1, 3});
  const at::Tensor target = at::arange(6, at::kDouble).view({1, 3, 2});
  const at::Tensor right = at::tensor(std::vector<double>{4, 5, 0, 1}).view({2, 2});
  EXPECT_EQ(mae_loss(right, target, order).item<double>(), 0.0);
  EXPECT_EQ(mae_loss(right + 3.0, target, order).item<double>(), 9.0);
  EXPECT_GT(mae_loss(right.flip(0), target, order).item<double>(), 0.0);
  expect_slope([&](const at::Tensor& x) { return mae_loss(x, target, order); }, learned({2, 2}), 1e-4, 1e-6);
}

/// Each patch has mean 0 and (but for the constant ones) variance 1, its pixels row by row with the colours innermost.
TEST(MaeLoss, TargetsAreNormalisedPatches) {
  at::manual_seed(61);
  at::Tensor image = at::randn({2, 3, 4, 6});
  image.slice(2, 0, 2).slice(3, 2, 4).fill_(0.5);
  const at::Tensor target = mae_target(image, 2);
  ASSERT_EQ(target.sizes(), (at::IntArrayRef{2, 6, 12}));
  EXPECT_LT(target.mean(2).abs().max().item<double>(), 1e-5);
  const at::Tensor variance = target.var(2);
  EXPECT_EQ(target.select(1, 1).abs().max().item<double>(), 0.0) << "one colour: nothing to learn, no NaN";
  for (const std::int64_t patch : {0, 2, 3, 4, 5}) {
    EXPECT_LT((variance.select(1, patch) - 1.0).abs().max().item<double>(), 1e-3) << patch;
  }
  const at::Tensor pixels = image[1].slice(1, 2, 4).slice(2, 4, 6).permute({1, 2, 0}).reshape({-1});  // patch 5
  EXPECT_TRUE(at::allclose(target[1][5], (pixels - pixels.mean()) / pixels.std(), 1e-4, 1e-5));
}

/// A mean over no rows is 0 with a gradient, not NaN.
TEST(Losses, OfNoRowsAreZero) {
  at::manual_seed(61);
  const at::Tensor labels = at::empty({0}, at::kLong), order = at::arange(4).view({1, 4});
  const at::Tensor pairs = at::empty({0, 2}).set_requires_grad(true), words = at::empty({0, 7}).set_requires_grad(true);
  EXPECT_TRUE(itm_loss(pairs, {}, {}).requires_grad());
  EXPECT_EQ(itm_loss(pairs, {}, {}).item<double>(), 0.0);
  for (const double alpha : {0.0, 0.4}) {
    EXPECT_EQ(mlm_loss(words, labels, words.detach(), alpha).item<double>(), 0.0);
    EXPECT_EQ(contrast_loss(words, {}, words.detach(), alpha).item<double>(), 0.0);
    EXPECT_EQ(contrast_loss(words, words.detach().gt(0), words.detach(), alpha).item<double>(), 0.0);
    EXPECT_EQ(itc_loss(words, words, {}, words.detach(), words.detach(), alpha).item<double>(), 0.0);
  }
  const at::Tensor none = at::empty({0, 2}).set_requires_grad(true);
  EXPECT_EQ(mae_loss(none, at::randn({1, 4, 2}), order).item<double>(), 0.0);
  EXPECT_TRUE(mae_loss(none, at::randn({1, 4, 2}), order).requires_grad());
}

}  // namespace
}  // namespace vicha
