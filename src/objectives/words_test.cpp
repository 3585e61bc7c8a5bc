// Late interaction against loops, plain operations and finite differences; the contrast of words on paper and in a
// step.
#include "objectives/words.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "checkpoint/names/names.h"
#include "nn/norm.h"
#include "objectives/late_interaction.h"
#include "objectives/step_test.h"

namespace vicha {
namespace {

TEST(LateInteraction, TilesEqualPlainOperationsWithTheirGradients) {
  at::manual_seed(1);
  const at::Tensor queries = at::randn({7, 5}).requires_grad_(), keys = at::randn({3, 4, 5}).requires_grad_();
  const std::vector<std::int64_t> real = {4, 1, 3};
  const at::Tensor weights = at::randn({7, 3});
  const at::Tensor seen = at::arange(4).unsqueeze(0).lt(at::tensor(real, at::kLong).unsqueeze(1));
  for (const bool hide : {false, true}) {
    at::Tensor products = at::mm(queries, keys.view({12, 5}).t()).view({7, 3, 4});
    if (hide) products = products.masked_fill(seen.logical_not(), -1e30);
    const at::Tensor plain = products.amax(2);
    const auto expected = torch::autograd::grad({(plain * weights).sum()}, {queries, keys});
    for (const std::int64_t tile : {1, 25, 1 << 20}) {
      const at::Tensor best = best_matches(queries, keys, hide ? real : std::vector<std::int64_t>(), tile);
      EXPECT_TRUE(at::allclose(best, plain, 1e-5, 1e-6));
      const auto grads = torch::autograd::grad({(best * weights).sum()}, {queries, keys});
      EXPECT_TRUE(at::allclose(grads[0], expected[0], 1e-4, 1e-5)) << tile;
      EXPECT_TRUE(at::allclose(grads[1], expected[1], 1e-4, 1e-5)) << tile;
    }
  }
}

TEST(LateInteraction, MeansOfRuns) {
  const at::Tensor values = at::tensor({1.0F, 10.0F, 3.0F, 20.0F, 8.0F, 0.0F}).view({3, 2});
  EXPECT_TRUE(
      at::allclose(run_means(values, {2, 0, 1}), at::tensor({2.0F, 15.0F, 0.0F, 0.0F, 8.0F, 0.0F}).view({3, 2})));
}

/// Two texts of two words and one, two pictures of two patches, in the plane.
TEST(Words, FitsOnPaper) {
  const float h = std::sqrt(0.5F);
  const at::Tensor words = at::tensor({1.0F, 0.0F, 0.0F, 1.0F, h, h}).view({3, 2});
  const at::Tensor patches = at::tensor({1.0F, 0.0F, h, h, 0.0F, -1.0F, -1.0F, 0.0F}).view({2, 2, 2});
  // Text 0 in picture 0: word (1, 0) finds 1, (0, 1) finds h; in picture 1: both find 0. Text 1: 1; -h.
  const at::Tensor expected = at::tensor({(1 + h) / 2, 1.0F, 0.0F, -h}).view({2, 2});
  EXPECT_TRUE(at::allclose(word_patch_fit(words, {2, 1}, patches), expected, 1e-5, 1e-6));
}

/// Sums of small steps in every number of words and patches.
TEST(Words, GradientsAgreeWithFiniteDifferences) {
  at::manual_seed(11);  // no two patches are nearly equal to a word: at such a place the slope jumps
  const at::Tensor words = at::randn({5, 4}), patches = at::randn({2, 3, 4}), weights = at::randn({2, 2});
  const auto value = [&](const at::Tensor& w, const at::Tensor& p) {
    return (word_patch_fit(unit_rows(w), {2, 3}, unit_rows(p.view({6, 4})).view({2, 3, 4})) * weights).sum();
  };
  const at::Tensor w = words.clone().requires_grad_(), p = patches.clone().requires_grad_();
  const auto grads = torch::autograd::grad({value(w, p)}, {w, p});
  constexpr float kStep = 2e-3F;
  for (const bool of_words : {true, false}) {
    const at::Tensor& at_point = of_words ? words : patches;
    for (std::int64_t i = 0; i < at_point.numel(); ++i) {
      const auto moved = [&](float by) {
        at::Tensor other = at_point.clone();
        other.view({-1})[i] += by;
        return of_words ? value(other, patches).item<double>() : value(words, other).item<double>();
      };
      const double slope = (moved(kStep) - moved(-kStep)) / (2 * kStep);
      EXPECT_NEAR(grads[of_words ? 0 : 1].reshape({-1})[i].item<double>(), slope, 5e-3) << of_words << ' ' << i;
    }
  }
}

struct WordsParts : Parts {
  WordsParts() : Parts(only(), compared()) {}
  static ObjectivesOptions only() {
    ObjectivesOptions o = recipe();
    o.enable_only({"words"});
    return o;
  }
  static ModelOptions compared() {
    ModelOptions m = tiny();
    m.fusion.similarity = true;
    return m;
  }
  at::Tensor loss(const Batch& b) {
    RepeatedDraws draws(1);
    const auto running = step.begin(b, draws, 0.0, 0.0);
    return step.losses(*running).total;
  }
};

TEST(Words, LearnsWithinAStepAndClampsItsTemperature) {
  WordsParts parts;
  const at::Tensor temperature = parts.model.parameters().parameter("words_temp").value;
  {
    const at::NoGradGuard guard;
    at::Tensor(temperature).fill_(3.0);
  }
  const Batch b = batch(3);
  const at::Tensor loss = parts.loss(b);
  EXPECT_FLOAT_EQ(temperature.item<float>(), 0.5F);
  // Four pairs at a high temperature: near the logarithm of four.
  EXPECT_NEAR(loss.item<double>(), std::log(4.0), 0.7);
  torch::autograd::backward({loss});
  for (const char* name : {"word_proj.weight", "patch_proj.weight", "words_temp", "visual_encoder.norm.weight"}) {
    EXPECT_GT(parts.model.parameters().parameter(name).value.grad().norm().item<double>(), 0.0) << name;
  }
}

TEST(Words, TextsWithoutWordsSayNothing) {
  WordsParts parts;
  EXPECT_EQ(parts.loss(batch(3, {1, 1, 1, 1})).item<double>(), 0.0);
  EXPECT_TRUE(std::isfinite(parts.loss(batch(3, {1, 4, 1, 2})).item<double>()));
}

TEST(Words, ModelsWithoutTheMapsLeaveThemAside) {
  ModelOptions options = tiny();
  options.fusion.similarity = true;
  options.fusion.images = 2;
  const Vicha model(options, 1);
  std::int64_t maps = 0;
  for (const ParameterStore::Released& r : model.parameters().released()) {
    if (r.name.find("similarity") == std::string::npos && r.name.find("_proj") == std::string::npos) continue;
    if (r.name.starts_with("vision_proj") || r.name.starts_with("text_proj") || r.name.starts_with("kw_proj")) continue;
    ++maps;
    EXPECT_TRUE(std::ranges::any_of(words_kind().checkpoint_names, [&](const std::string& pattern) {
      return matches(pattern, r.name);
    })) << r.name;
  }
  EXPECT_EQ(maps, 14);
}

TEST(Words, NeedsItsMaps) { EXPECT_THROW(Parts(WordsParts::only(), tiny()), UsageError); }

}  // namespace
}  // namespace vicha
