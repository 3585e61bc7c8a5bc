// A batch that has nothing for an objective: a loss of exactly 0 with a gradient of 0, never NaN, whatever else runs.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>
#include <string>

#include "objectives/itc.h"
#include "objectives/itm.h"
#include "objectives/mlm.h"
#include "objectives/step_test.h"

namespace vicha {
namespace {

struct Checked {
  std::map<std::string, double> losses;
  std::map<std::string, double> steepest;  ///< largest element of any gradient of each objective's loss
};

/// One step, every loss with its gradients; all of them must be finite.
Checked checked_step(Parts& parts, const Batch& b, double alpha = 0.4, bool plain = false, TextCache* cache = nullptr) {
  RepeatedDraws draws(41);
  const auto run = parts.step.begin(b, draws, 0.0, alpha, cache, plain);
  PretrainStep::Result result = parts.step.losses(*run);
  result.terms.emplace_back("total", result.total);
  std::vector<at::Tensor> learned;
  std::vector<std::string> names;
  for (const Parameter& p : parts.model.parameters().parameters()) {
    if (!p.value.requires_grad()) continue;
    learned.push_back(p.value);
    names.push_back(p.name);
  }
  Checked out;
  for (const auto& [name, loss] : result.terms) {
    out.losses[name] = loss.item<double>();
    EXPECT_TRUE(std::isfinite(out.losses[name])) << name;
    EXPECT_EQ(loss.dim(), 0) << name;
    EXPECT_EQ(loss.scalar_type(), at::kFloat) << name;
    EXPECT_TRUE(loss.requires_grad()) << name << ": the loop's backward pass would fail where it stands alone";
    if (!loss.requires_grad()) continue;
    double steepest = 0;
    const auto grads = torch::autograd::grad({loss}, learned, {}, /*retain_graph=*/true, /*create_graph=*/false,
                                             /*allow_unused=*/true);
    for (std::size_t i = 0; i < grads.size(); ++i) {
      if (!grads[i].defined()) continue;
      EXPECT_TRUE(grads[i].isfinite().all().item<bool>()) << name << " by " << names[i];
      steepest = std::max(steepest, grads[i].abs().max().item<double>());
    }
    out.steepest[name] = steepest;
  }
  return out;
}

void expect_nothing(const Checked& step, const std::string& objective) {
  EXPECT_EQ(step.losses.at(objective), 0.0) << objective;
  EXPECT_EQ(step.steepest.at(objective), 0.0) << objective;
}

void expect_something(const Checked& step, const std::string& objective) {
  EXPECT_GT(step.losses.at(objective), 0.0) << objective;
  EXPECT_GT(step.steepest.at(objective), 0.0) << objective;
}

TEST(NothingToLookAt, NoMaskedWordInTheBatch) {
  Parts parts(recipe());
  const Batch b = batch(51, {5, 9, 3, 7}, /*masked=*/0.0);
  ASSERT_TRUE(b.get<MaskedWords>().positions.empty());
  for (const bool plain : {false, true}) {
    const Checked step = checked_step(parts, b, 0.4, plain);
    expect_nothing(step, "mlm");
    for (const char* other : {"itc", "hitc", "itm", "mae"}) expect_something(step, other);
  }
}

TEST(NothingToLookAt, ProbabilityZeroMasksNoWord) {
  ObjectivesOptions objectives = recipe();
  objectives.get<MlmOptions>().probability = 0.0;
  Parts parts(objectives);
  Batch b, drawn = batch(52);
  b.image = drawn.image;
  b.text = drawn.text;
  b.concepts = drawn.concepts;
  Rng rng(1);
  for (const auto& add : parts.step.target_makers()) add(b, rng);
  EXPECT_EQ(b.get<MaskedWords>().labels.numel(), 0);
  EXPECT_TRUE(at::equal(b.get<MaskedWords>().ids, b.text.ids));
  expect_nothing(checked_step(parts, b), "mlm");
}

TEST(NothingToLookAt, CaptionsOfOneToken) {
  Parts parts(recipe());
  const Batch b = batch(53, {1, 1, 1, 1}, /*masked=*/1.0);
  ASSERT_TRUE(b.get<MaskedWords>().positions.empty()) << "[CLS] is never asked for";
  const Checked step = checked_step(parts, b);
  expect_nothing(step, "mlm");
  for (const char* other : {"itc", "hitc", "itm", "mae"}) expect_something(step, other);
}

TEST(NothingToLookAt, OneCaptionWithMaskedWordsAmongBareOnes) {
  Parts parts(recipe());
  expect_something(checked_step(parts, batch(54, {1, 6, 1, 1}, 1.0)), "mlm");
}

TEST(NothingToLookAt, NoPatchOrEveryPatchIsHidden) {
  for (const MaeVariant variant : {MaeVariant::kUnimodal, MaeVariant::kCrossModal, MaeVariant::kUniCrossModal}) {
    for (const double ratio : {0.0, 1.0}) {
      SCOPED_TRACE(testing::Message() << "variant " << static_cast<int>(variant) << ", ratio " << ratio);
      ObjectivesOptions objectives = recipe();
      objectives.get<MaeOptions>().variant = variant;
      objectives.get<MaeOptions>().mask_ratio = ratio;
      Parts parts(objectives);
      const Checked step = checked_step(parts, batch(55));
      ratio == 0.0 ? expect_nothing(step, "mae") : expect_something(step, "mae");
    }
  }
}

TEST(NothingToLookAt, BatchOfOne) {
  Parts parts(recipe());
  const Checked step = checked_step(parts, batch(56, {6}, 0.5));
  expect_something(step, "itc");  // against the queue
  expect_nothing(step, "hitc");   // no queue: the pair is the only candidate
  expect_something(step, "itm");  // the pair itself; a negative does not exist
  expect_something(step, "mlm");
  expect_something(step, "mae");
}

/// Each objective alone, and all, in every combination of what may be missing.
TEST(NothingToLookAt, CombinationsStayFinite) {
  struct Missing {
    std::vector<std::int64_t> lengths;
    double masked, ratio;
  };
  const Missing cases[] = {
      {{1}, 1.0, 0.0}, {{1}, 1.0, 1.0}, {{4}, 0.0, 0.0}, {{1, 1}, 1.0, 0.0}, {{1, 5, 1}, 0.0, 1.0}};
  const std::vector<std::vector<std::string_view>> recipes = {
      {"itc"}, {"hitc"},       {"itm"},        {"mlm"},
      {"mae"}, {"itm", "mlm"}, {"mlm", "mae"}, {"itc", "hitc", "itm", "mlm", "mae"}};
  struct Host {
    bool frozen;
    std::int64_t fusion_layers;
    bool concepts;
  };
  for (const auto& [frozen, fusion_layers, concepts] :
       {Host{false, 0, true}, Host{false, 2, false}, Host{true, 1, true}, Host{true, 2, false}}) {
    for (const auto& keys : recipes) {
      for (const Missing& missing : cases) {
        SCOPED_TRACE(testing::Message() << "frozen " << frozen << ", fusion layers " << fusion_layers << ", concepts "
                                        << concepts << ", first objective " << keys.front() << " of " << keys.size()
                                        << ", pairs " << missing.lengths.size() << ", masked " << missing.masked
                                        << ", ratio " << missing.ratio);
        ObjectivesOptions objectives = recipe();
        objectives.enable_only(keys);
        objectives.get<MaeOptions>().mask_ratio = missing.ratio;
        objectives.get<MaeOptions>().variant = MaeVariant::kUniCrossModal;
        ModelOptions options = tiny();
        options.text.fusion_layers = fusion_layers;
        options.concepts.enabled = concepts;
        options.concepts.mask_padding = true;
        Parts parts(objectives, options);
        if (frozen) parts.model.freeze("text");
        Batch b = batch(57, missing.lengths, missing.masked);
        if (!concepts) b.concepts = {};
        TextCache cache(1 << 20);
        const Checked step = checked_step(parts, b, frozen ? 0.0 : 0.4, false, frozen ? &cache : nullptr);
        const bool no_words = b.get<MaskedWords>().positions.empty();
        if (step.losses.count("mlm") != 0 && no_words) expect_nothing(step, "mlm");
        if (step.losses.count("mae") != 0 && missing.ratio == 0.0) expect_nothing(step, "mae");
        if (step.losses.count("hitc") != 0 && missing.lengths.size() == 1) expect_nothing(step, "hitc");
      }
    }
  }
}

}  // namespace
}  // namespace vicha
