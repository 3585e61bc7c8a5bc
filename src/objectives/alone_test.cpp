// An objective that runs alone and the same one in a step with all the others see the same numbers, though then its
// sequences share the passes with theirs.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <string>
#include <tuple>
#include <unordered_map>

#include "base/error.h"
#include "objectives/itc.h"
#include "objectives/itm.h"
#include "objectives/mlm.h"
#include "objectives/step_test.h"

namespace vicha {
namespace {

struct Term {
  double loss;
  std::unordered_map<std::string, at::Tensor> grads;  ///< by parameter; those that the loss does not reach are absent
};

/// The unweighted loss of one objective of the step, and its gradients.
Term term_of(Parts& parts, const PretrainStep::Result& result, const std::string& objective) {
  const auto term = std::ranges::find(result.terms, objective, &std::pair<std::string, at::Tensor>::first);
  if (term == result.terms.end()) throw std::logic_error("no term " + objective);
  Term out{term->second.item<double>(), {}};
  std::vector<std::string> names;
  std::vector<at::Tensor> learned;
  for (const Parameter& p : parts.model.parameters().parameters()) {
    if (!p.value.requires_grad()) continue;
    names.push_back(p.name);
    learned.push_back(p.value);
  }
  const auto grads = torch::autograd::grad({term->second}, learned, {}, /*retain_graph=*/true,
                                           /*create_graph=*/false, /*allow_unused=*/true);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (grads[i].defined()) out.grads[names[i]] = grads[i];
  }
  return out;
}

/// A parameter that only one of the two reaches has a gradient of exactly 0 there: rows of others pass through.
void expect_same_term(const Term& alone, const Term& joined) {
  EXPECT_NEAR(joined.loss, alone.loss, 1e-5 * std::max(1.0, std::abs(alone.loss)));
  for (const auto& [name, grad] : joined.grads) {
    const auto at = alone.grads.find(name);
    if (at == alone.grads.end()) {
      EXPECT_EQ(grad.abs().max().item<double>(), 0.0) << name;
      continue;
    }
    const double scale = std::max(1e-3, at->second.norm().item<double>());
    EXPECT_LT((grad - at->second).norm().item<double>() / scale, 2e-4) << name;
  }
  for (const auto& [name, grad] : alone.grads) {
    if (joined.grads.count(name) == 0) {
      EXPECT_EQ(grad.abs().max().item<double>(), 0.0) << name;
    }
  }
}

enum class Text { kLearns, kFrozen, kCached };
enum class Pictures { kConcepts, kMaskedConcepts, kNoConcepts };

struct Setting {
  Pictures pictures;
  std::int64_t fusion_layers;
  Text text;
  FusionKind fusion = FusionKind::kCross;
};

/// What the tests call an objective, its key in a recipe, and the variant of masked image modelling that it stands for.
struct Subject {
  const char *name, *key;
  MaeVariant variant = MaeVariant::kUnimodal;
};

constexpr Subject kSubjects[] = {{"itc", "itc"},
                                 {"hitc", "hitc"},
                                 {"itm", "itm"},
                                 {"mlm", "mlm"},
                                 {"mae_unimodal", "mae", MaeVariant::kUnimodal},
                                 {"mae_cross_modal", "mae", MaeVariant::kCrossModal},
                                 {"mae_uni_cross_modal", "mae", MaeVariant::kUniCrossModal}};

std::unique_ptr<Parts> parts_of(ObjectivesOptions objectives, const Setting& setting, const Subject* only = nullptr) {
  if (only != nullptr) objectives.enable_only({only->key});
  ModelOptions options = tiny();
  options.text.fusion_layers = setting.fusion_layers;
  options.fusion.kind = setting.fusion;
  options.regions.rows = 2;
  options.concepts.enabled = setting.pictures != Pictures::kNoConcepts;
  options.concepts.mask_padding = setting.pictures == Pictures::kMaskedConcepts;
  auto parts = std::make_unique<Parts>(objectives, options);
  if (setting.text != Text::kLearns) parts->model.freeze("text");
  return parts;
}

Batch batch_of(const Setting& setting) {
  Batch b = batch(21);
  if (setting.pictures == Pictures::kNoConcepts) b.concepts = {};
  return b;
}

void expect_alone_equals_joined(const ObjectivesOptions& objectives, const Setting& setting, const Subject& subject) {
  const Batch b = batch_of(setting);
  RepeatedDraws draws(31);
  TextCache alone_cache(1 << 20), joined_cache(1 << 20);
  const bool cached = setting.text == Text::kCached;
  constexpr double kAlpha = 0.4;

  const auto alone = parts_of(objectives, setting, &subject);
  const auto plain_run = alone->step.begin(b, draws, 0.0, kAlpha, nullptr, /*plain=*/true);
  const Term plain = term_of(*alone, alone->step.losses(*plain_run), subject.key);
  EXPECT_TRUE(std::isfinite(plain.loss));
  EXPECT_GT(plain.loss, 0.0);
  const auto all = parts_of(objectives, setting);
  // With a cache once more, when every caption is in it.
  for (int pass = 0; pass < (cached ? 2 : 1); ++pass) {
    SCOPED_TRACE(pass);
    const auto alone_run = alone->step.begin(b, draws, 0.0, kAlpha, cached ? &alone_cache : nullptr);
    const Term fast = term_of(*alone, alone->step.losses(*alone_run), subject.key);
    const auto all_run = all->step.begin(b, draws, 0.0, kAlpha, cached ? &joined_cache : nullptr);
    const Term joined = term_of(*all, all->step.losses(*all_run), subject.key);
    expect_same_term(fast, joined);
    expect_same_term(plain, joined);
  }
}

class AloneEqualsJoined : public testing::TestWithParam<std::tuple<Subject, Pictures, std::int64_t, Text>> {};

TEST_P(AloneEqualsJoined, LossAndEveryGradient) {
  const auto& [subject, pictures, fusion_layers, text] = GetParam();
  ObjectivesOptions objectives = recipe();
  objectives.get<MaeOptions>().variant = subject.variant;
  expect_alone_equals_joined(objectives, {pictures, fusion_layers, text}, subject);
}

std::string name_of_case(const testing::TestParamInfo<AloneEqualsJoined::ParamType>& info) {
  static constexpr const char *kPictures[] = {"concepts", "masked_concepts", "no_concepts"},
                              *kTexts[] = {"learning_text", "frozen_text", "cached_text"};
  const auto& [subject, pictures, fusion_layers, text] = info.param;
  return std::string(subject.name) + "_" + kPictures[static_cast<int>(pictures)] + "_" + std::to_string(fusion_layers) +
         "_fusion_" + kTexts[static_cast<int>(text)];
}

INSTANTIATE_TEST_SUITE_P(
    Objectives, AloneEqualsJoined,
    testing::Combine(testing::ValuesIn(kSubjects),
                     testing::Values(Pictures::kConcepts, Pictures::kMaskedConcepts, Pictures::kNoConcepts),
                     testing::Values(0, 1, 2), testing::Values(Text::kLearns, Text::kFrozen, Text::kCached)),
    name_of_case);

TEST(AloneEqualsJoinedToo, WithJointFusion) {
  for (const Text text : {Text::kLearns, Text::kCached}) {
    for (const Subject& subject : kSubjects) {
      if (subject.variant != MaeVariant::kUnimodal) continue;
      SCOPED_TRACE(subject.name);
      expect_alone_equals_joined(recipe(), {Pictures::kConcepts, 2, text, FusionKind::kJoint}, subject);
    }
  }
}

/// What counts as right is an option of ITC that the others read too, also where ITC is off.
TEST(AloneEqualsJoinedToo, WithPositivesBeyondThePair) {
  for (const Positives positives : {Positives::kCaption, Positives::kImageId}) {
    ObjectivesOptions objectives = recipe();
    objectives.get<ItcOptions>().positives = positives;
    for (const Subject& subject : kSubjects) {
      SCOPED_TRACE(subject.name);
      if (std::string(subject.key) == "mae") continue;
      expect_alone_equals_joined(objectives, {Pictures::kConcepts, 2, Text::kLearns}, subject);
    }
  }
}

TEST(AloneEqualsJoinedToo, TheTotalIsTheWeightedSum) {
  ObjectivesOptions objectives = recipe();
  const double weights[] = {0.5, 0.25, 2.0, 3.0, 0.125};
  const char* keys[] = {"itc", "hitc", "itm", "mlm", "mae"};
  for (std::size_t i = 0; i < 5; ++i) objectives.at(keys[i]).weight = weights[i];
  Parts parts(objectives);
  const Batch b = batch(22);
  RepeatedDraws draws(32);
  const auto run = parts.step.begin(b, draws, 0.0, 0.4);
  PretrainStep::Result result = parts.step.losses(*run);
  result.terms.emplace_back("total", result.total);
  const Term total = term_of(parts, result, "total");
  double sum = 0;
  std::unordered_map<std::string, at::Tensor> grads;
  for (std::size_t i = 0; i < 5; ++i) {
    const Term term = term_of(parts, result, keys[i]);
    sum += weights[i] * term.loss;
    for (const auto& [name, grad] : term.grads) {
      at::Tensor& to = grads[name];
      to = to.defined() ? to + weights[i] * grad : weights[i] * grad;
    }
  }
  EXPECT_NEAR(total.loss, sum, 1e-5 * sum);
  expect_same_term(total, {total.loss, grads});
}

/// The slope of the loss along its own gradient, measured: the joined step and the plain one could be wrong alike.
/// Without soft targets, which move with the weights but carry no gradient.
class SlopeOf : public testing::TestWithParam<FusionKind> {};

TEST_P(SlopeOf, GradientsMatchFiniteDifferences) {
  for (const Subject& subject : kSubjects) {
    SCOPED_TRACE(subject.name);
    if (std::string(subject.key) == "hitc") continue;  // its candidates carry no gradient: see losses_test.cpp
    if (GetParam() == FusionKind::kJoint && subject.variant != MaeVariant::kUnimodal) continue;
    ObjectivesOptions objectives = recipe();
    objectives.get<MaeOptions>().variant = subject.variant;
    const auto parts = parts_of(objectives, {Pictures::kConcepts, 2, Text::kLearns, GetParam()});
    const Batch b = batch(23);
    RepeatedDraws draws(33);
    const auto loss_and_grads = [&] {
      const auto run = parts->step.begin(b, draws, 0.0, /*alpha=*/0.0);
      return term_of(*parts, parts->step.losses(*run), subject.key);
    };
    const Term here = loss_and_grads();
    double squares = 0;
    for (const auto& [name, grad] : here.grads) squares += std::pow(grad.norm().item<double>(), 2);
    // Far enough for the change of the loss to stand out of its rounding, and no farther: norms bend sharply.
    const double length = std::sqrt(squares), h = 1e-3 / length;
    const auto walk = [&](double step) {
      const at::NoGradGuard guard;
      for (const auto& [name, grad] : here.grads) {
        at::Tensor(parts->model.parameters().parameter(name).value).add_(grad, step / length);
      }
    };
    walk(h);
    const double up = loss_and_grads().loss;
    walk(-2 * h);
    const double down = loss_and_grads().loss;
    EXPECT_NEAR((up - down) / (2 * h), length, 0.02 * length);
  }
}

INSTANTIATE_TEST_SUITE_P(Fusions, SlopeOf, testing::Values(FusionKind::kCross, FusionKind::kJoint));

TEST(JointModels, RefuseToRebuildPatchesByCrossAttention) {
  for (const MaeVariant variant : {MaeVariant::kCrossModal, MaeVariant::kUniCrossModal}) {
    ObjectivesOptions objectives = recipe();
    objectives.get<MaeOptions>().variant = variant;
    ModelOptions options = tiny();
    objectives.check(options);
    options.fusion.kind = FusionKind::kJoint;
    EXPECT_THROW(objectives.check(options), UsageError);
  }
}

}  // namespace
}  // namespace vicha
