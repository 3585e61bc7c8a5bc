#include "objectives/teach.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>
#include <string>

#include "base/error.h"
#include "nn/norm.h"
#include "objectives/itc.h"
#include "objectives/step_test.h"

namespace vicha {
namespace {

TEST(TeachLoss, IsOneMinusTheMeanCosine) {
  at::manual_seed(91);
  const at::Tensor features = at::randn({3, 5}) * 4, teacher = unit_rows(at::randn({3, 5}));
  double expected = 0;
  for (std::int64_t i = 0; i < 3; ++i) {
    expected += 1 - (features[i].dot(teacher[i]) / features[i].norm()).item<double>();
  }
  EXPECT_NEAR(teach_loss(features, teacher).item<double>(), expected / 3, 1e-6);
  EXPECT_NEAR(teach_loss(teacher * 7, teacher).item<double>(), 0.0, 1e-6);
  EXPECT_NEAR(teach_loss(-teacher, teacher).item<double>(), 2.0, 1e-6);
  EXPECT_EQ(teach_loss(features.slice(0, 0, 0), teacher.slice(0, 0, 0)).item<double>(), 0.0);
}

TEST(TeachLoss, GradientMatchesFiniteDifferences) {
  at::manual_seed(92);
  const at::Tensor teacher = unit_rows(at::randn({4, 6})), x = at::randn({4, 6}, at::kDouble).set_requires_grad(true);
  const at::Tensor direction = at::randn({4, 6}, at::kDouble), here = x.detach();
  const double slope = (torch::autograd::grad({teach_loss(x, teacher)}, {x})[0] * direction).sum().item<double>();
  const auto at_distance = [&](double d) { return teach_loss(here + d * direction, teacher).item<double>(); };
  EXPECT_NEAR(slope, (at_distance(3e-3) - at_distance(-3e-3)) / 6e-3, 1e-3 * (1 + std::abs(slope)));
  EXPECT_NE(slope, 0.0);
}

ObjectivesOptions taught(std::int64_t width, double image = 1, double text = 1) {
  ObjectivesOptions objectives = recipe();
  objectives.enable_only({"itc", "teach"});
  auto& teach = objectives.get<TeachOptions>();
  teach.source = "aligned:somewhere";
  teach.width = width;
  teach.image = image;
  teach.text = text;
  return objectives;
}

Batch with_teacher(std::int64_t width, bool image = true, bool text = true) {
  Batch b = batch(93);
  at::manual_seed(94);
  TeacherFeatures& teacher = b.add<TeacherFeatures>();
  if (image) teacher.image = unit_rows(at::randn({4, width}));
  if (text) teacher.text = unit_rows(at::randn({4, width}));
  return b;
}

double steepest(const Parts& parts, const at::Tensor& loss, const std::string& name) {
  const at::Tensor& value = parts.model.parameters().parameter(name).value;
  const at::Tensor grad = torch::autograd::grad({loss}, {value}, {}, true, false, /*allow_unused=*/true)[0];
  return grad.defined() ? grad.abs().max().item<double>() : 0.0;
}

TEST(Teach, MapsToTheTeachersWidthWhereTheyDiffer) {
  Parts parts(taught(13, 2.0, 0.5));
  const Batch b = with_teacher(13);
  RepeatedDraws draws(95);
  const auto run = parts.step.begin(b, draws, 0.0, 0.0);
  const PretrainStep::Result result = parts.step.losses(*run);
  ASSERT_EQ(result.terms.back().first, "teach");
  const at::Tensor& loss = result.terms.back().second;
  const auto map = [&](const char* name, const at::Tensor& x) {
    const ParameterStore& store = parts.model.parameters();
    return at::linear(x, store.parameter(std::string(name) + ".weight").value,
                      store.parameter(std::string(name) + ".bias").value);
  };
  const Encodings::Features& own = run->encodings.features();
  const TeacherFeatures& teacher = b.get<TeacherFeatures>();
  const auto cosine = [](const at::Tensor& x, const at::Tensor& y) { return at::cosine_similarity(x, y).mean(); };
  const at::Tensor expected = 2.0 * (1 - cosine(map("teach_image", own.image), teacher.image)) +
                              0.5 * (1 - cosine(map("teach_text", own.text), teacher.text));
  EXPECT_NEAR(loss.item<double>(), expected.item<double>(), 1e-5);
  for (const char* name : {"teach_image.weight", "teach_text.bias", "vision_proj.weight", "text_proj.weight",
                           "visual_encoder.patch_embed.proj.weight"}) {
    EXPECT_GT(steepest(parts, loss, name), 0.0) << name;
  }
}

TEST(Teach, OfTheSameWidthNeedsNoMap) {
  Parts parts(taught(10));
  EXPECT_FALSE(parts.model.parameters().has_parameter("teach_image.weight"));
  const Batch b = with_teacher(10);
  RepeatedDraws draws(96);
  const auto run = parts.step.begin(b, draws, 0.0, 0.0);
  const at::Tensor loss = parts.step.losses(*run).terms.back().second;
  const Encodings::Features& own = run->encodings.features();
  const TeacherFeatures& teacher = b.get<TeacherFeatures>();
  EXPECT_NEAR(loss.item<double>(),
              2 - (own.image * teacher.image).sum(1).mean().item<double>() -
                  (own.text * teacher.text).sum(1).mean().item<double>(),
              1e-5);
}

TEST(Teach, OneSideAloneLeavesTheOther) {
  Parts parts(taught(13, 1.0, 0.0));
  EXPECT_FALSE(parts.model.parameters().has_parameter("teach_text.weight"));
  const Batch b = with_teacher(13, true, false);
  RepeatedDraws draws(97);
  const auto run = parts.step.begin(b, draws, 0.0, 0.0);
  const at::Tensor loss = parts.step.losses(*run).terms.back().second;
  EXPECT_GT(steepest(parts, loss, "vision_proj.weight"), 0.0);
  EXPECT_EQ(steepest(parts, loss, "text_proj.weight"), 0.0);
}

TEST(Teach, WithoutATeacherIsRefused) {
  const auto refusal = [](const std::function<void(TeachOptions&)>& change) -> std::string {
    TeachOptions options;
    options.enabled = true;
    change(options);
    try {
      options.check(tiny());
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(refusal([](TeachOptions&) {}).find("teach.source"), std::string::npos);
  EXPECT_NE(refusal([](TeachOptions& o) { o.pictures = "a.emb"; }).find("teach.captions"), std::string::npos);
  EXPECT_NE(refusal([](TeachOptions& o) { o.image = o.text = 0; }).find("teach.image"), std::string::npos);
  EXPECT_EQ(refusal([](TeachOptions& o) { o.pictures = "a.emb", o.text = 0; }), "");
  EXPECT_EQ(refusal([](TeachOptions& o) { o.source = "aligned:x"; }), "");
  EXPECT_THROW(Parts{taught(0)}, UsageError);
}

}  // namespace
}  // namespace vicha
