// Each objective over regions alone, on the plain path and in a step with all other objectives of the program: the same
// loss and gradients; and these against finite differences.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>
#include <string>

#include "objectives/region_step_test.h"
#include "objectives/words.h"

namespace vicha {
namespace {

struct RegionTerm {
  double loss = 0;
  std::map<std::string, at::Tensor> grads;
};

RegionTerm region_term(Parts& parts, const Batch& b, const std::string& key, bool plain = false) {
  RepeatedDraws draws(91);
  const auto run = parts.step.begin(b, draws, 0.0, /*alpha=*/0.0, nullptr, plain);
  const auto result = parts.step.losses(*run);
  RegionTerm out;
  for (const auto& [name, loss] : result.terms) {
    if (name != key) continue;
    std::vector<at::Tensor> learned;
    std::vector<std::string> names;
    for (const Parameter& p : parts.model.parameters().parameters()) {
      if (!p.value.requires_grad()) continue;
      learned.push_back(p.value);
      names.push_back(p.name);
    }
    const auto grads = torch::autograd::grad({loss}, learned, {}, /*retain_graph=*/true, /*create_graph=*/false,
                                             /*allow_unused=*/true);
    out.loss = loss.item<double>();
    for (std::size_t i = 0; i < grads.size(); ++i) {
      if (grads[i].defined() && grads[i].abs().max().item<double>() > 0) out.grads[names[i]] = grads[i];
    }
  }
  return out;
}

void expect_equal_terms(const RegionTerm& a, const RegionTerm& b) {
  EXPECT_GT(b.loss, 0.0);
  EXPECT_NEAR(a.loss, b.loss, 1e-5 * std::max(1.0, std::abs(b.loss)));
  ASSERT_GT(b.grads.size(), 3u);
  for (const auto& [name, grad] : b.grads) {
    const auto found = a.grads.find(name);
    ASSERT_NE(found, a.grads.end()) << name;
    const double scale = std::max(1e-3, grad.norm().item<double>());
    EXPECT_LT((found->second - grad).norm().item<double>() / scale, 3e-4) << name;
  }
}

struct RegionCase {
  std::string key;
  FusionKind kind = FusionKind::kJoint;
  bool similarity = false, concepts = true, margin = false, multimodal = false;
  std::string name = {};
};

class RegionsJoined : public testing::TestWithParam<RegionCase> {
 protected:
  ModelOptions options() const {
    ModelOptions o = region_model();
    o.fusion.kind = GetParam().kind;
    o.fusion.similarity = GetParam().similarity;
    o.concepts.enabled = GetParam().concepts;
    return o;
  }
  static ObjectivesOptions objectives() {
    ObjectivesOptions o = region_recipe();
    const AlignmentForm form = GetParam().margin ? AlignmentForm::kMargin : AlignmentForm::kInfoNce;
    o.get<ItaOptions>().loss = o.get<IrtaOptions>().loss = o.get<IraOptions>().loss = form;
    if (GetParam().multimodal) o.get<ItaOptions>().level = ItaLevel::kMultimodal;
    return o;
  }
};

TEST_P(RegionsJoined, AloneEqualsPlainEqualsWithAllOthers) {
  const std::string& key = GetParam().key;
  ObjectivesOptions alone = objectives(), all = objectives();
  alone.enable_only({key});
  all.enable_only({"itc", "hitc", "itm", "mlm", "mae", "ita", "irta"});
  all.at("ira").enabled = GetParam().concepts;
  all.at("mrm").enabled = all.at("mtm").enabled = GetParam().kind == FusionKind::kJoint;
  all.at("words").enabled = GetParam().similarity;
  Parts one(alone, options()), many(all, options());
  if (GetParam().similarity) {
    fill_similarity(one.model);
    fill_similarity(many.model);
  }
  const Batch b = region_batch(options(), 81);
  const RegionTerm fast = region_term(one, b, key);
  expect_equal_terms(region_term(one, b, key, /*plain=*/true), fast);
  expect_equal_terms(region_term(many, b, key), fast);
  expect_equal_terms(region_term(many, b, key, /*plain=*/true), fast);
}

TEST_P(RegionsJoined, GradientMatchesFiniteDifferences) {
  const std::string& key = GetParam().key;
  ObjectivesOptions alone = objectives();
  alone.enable_only({key});
  Parts parts(alone, options());
  const Batch b = region_batch(options(), 82);
  const RegionTerm here = region_term(parts, b, key);
  double squares = 0;
  for (const auto& [name, grad] : here.grads) squares += std::pow(grad.norm().item<double>(), 2);
  // No farther: the best match of a word changes, and norms bend sharply.
  const double length = std::sqrt(squares), h = 3e-4 / length;
  const auto walk = [&](double step) {
    const at::NoGradGuard guard;
    for (const auto& [name, grad] : here.grads) {
      at::Tensor(parts.model.parameters().parameter(name).value).add_(grad, step / length);
    }
  };
  walk(h);
  const double up = region_term(parts, b, key).loss;
  walk(-2 * h);
  const double down = region_term(parts, b, key).loss;
  EXPECT_NEAR((up - down) / (2 * h), length, 0.04 * length);
}

INSTANTIATE_TEST_SUITE_P(
    Objectives, RegionsJoined,
    testing::Values(RegionCase{.key = "ita", .name = "ita"},
                    RegionCase{.key = "ita", .kind = FusionKind::kCross, .margin = true, .name = "ita_margin_cross"},
                    RegionCase{.key = "ita", .multimodal = true, .name = "ita_multimodal"},
                    RegionCase{.key = "irta", .name = "irta"},
                    RegionCase{.key = "irta", .concepts = false, .name = "irta_without_tags"},
                    RegionCase{.key = "irta", .kind = FusionKind::kCross, .name = "irta_cross"},
                    RegionCase{.key = "irta", .similarity = true, .name = "irta_similarity"},
                    RegionCase{.key = "irta", .margin = true, .name = "irta_margin"},
                    RegionCase{.key = "ira", .name = "ira"},
                    RegionCase{.key = "ira", .kind = FusionKind::kCross, .margin = true, .name = "ira_margin_cross"},
                    RegionCase{.key = "mrm", .name = "mrm"},
                    RegionCase{.key = "mrm", .similarity = true, .concepts = false, .name = "mrm_similarity"},
                    RegionCase{.key = "mtm", .name = "mtm"},
                    RegionCase{.key = "mtm", .similarity = true, .name = "mtm_similarity"}),
    [](const testing::TestParamInfo<RegionCase>& info) { return info.param.name; });

}  // namespace
}  // namespace vicha
