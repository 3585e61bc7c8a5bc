#include "checkpoint/names/load_report.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"

namespace vicha {
namespace {

struct Model {
  NamedTensors tensors = {{"a", at::zeros({2, 3})}, {"b", at::zeros({4})}, {"step", at::zeros({1}, at::kLong)}};
  at::Tensor get(const std::string& name) const {
    for (const auto& [key, tensor] : tensors) {
      if (key == name) return tensor;
    }
    return {};
  }
};

StateDict matching() {
  StateDict source;
  source.set("a", at::ones({2, 3}, at::kHalf));
  source.set("b", at::full({4}, 2.0));
  source.set("step", at::full({1}, 7, at::kLong));
  return source;
}

std::string message(const Model& model, const StateDict& source, const LoadPolicy& policy) {
  try {
    load_into(model.tensors, source, policy);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

TEST(LoadReport, CopiesAndConvertsWithoutAGraph) {
  Model model;
  model.tensors[0].second.requires_grad_(true);
  const LoadReport report = load_into(model.tensors, matching(), {});
  EXPECT_EQ(report.loaded, (std::vector<std::string>{"a", "b", "step"}));
  EXPECT_TRUE(at::equal(model.get("a").detach(), at::ones({2, 3})));
  EXPECT_TRUE(model.get("a").is_leaf());
  EXPECT_EQ(model.get("step").item<std::int64_t>(), 7);
  EXPECT_EQ(report.summary(), "loaded 3 tensors");
}

TEST(LoadReport, NothingIsWrittenWhenSomethingIsWrong) {
  Model model;
  StateDict source = matching();
  source.erase("b");
  source.set("c", at::zeros({1}));
  source.set("step", at::zeros({1}));
  const std::string text = message(model, source, {.where = "x.pth", .remedy = "Do this"});
  EXPECT_NE(text.find("x.pth: 1 tensors do not fit: step holds Float where the model has Long"), std::string::npos)
      << text;
  EXPECT_NE(text.find("1 tensors are missing: b"), std::string::npos) << text;
  EXPECT_NE(text.find("1 tensors have no place in this model: c. Do this"), std::string::npos) << text;
  EXPECT_TRUE(at::equal(model.get("a"), at::zeros({2, 3})));
}

TEST(LoadReport, AllowedPatternsAreReportedNotRefused) {
  Model model;
  StateDict source = matching();
  source.erase("b");
  source.set("head.weight", at::zeros({1}));
  const LoadReport report = load_into(model.tensors, source, {.allow_missing = {"b"}, .allow_unexpected = {"head.**"}});
  EXPECT_EQ(report.missing, std::vector<std::string>{"b"});
  EXPECT_EQ(report.unexpected, std::vector<std::string>{"head.weight"});
  EXPECT_EQ(report.summary(), "loaded 2 tensors, 1 missing (b), 1 unexpected (head.weight)");
  EXPECT_NE(report.listing().find("unexpected (1)\n  head.weight\n"), std::string::npos);
}

TEST(LoadReport, OtherShapesGoThroughTheCallback) {
  Model model;
  StateDict source = matching();
  source.set("b", at::arange(2, at::kFloat));
  EXPECT_NE(message(model, source, {}).find("b is 2 where the model has 4"), std::string::npos);
  const Reshape repeat = [](const std::string& name, const at::Tensor& tensor, at::IntArrayRef shape) {
    return name == "b" ? tensor.repeat({shape[0] / tensor.size(0)}) : at::Tensor();
  };
  const LoadReport report = load_into(model.tensors, source, {.reshape = repeat});
  EXPECT_TRUE(at::equal(model.get("b"), at::tensor({0.F, 1.F, 0.F, 1.F})));
  EXPECT_EQ(report.summary(), "loaded 3 tensors, 1 reshaped (b 2 → 4)");
  source.set("a", at::zeros({3, 2}));
  EXPECT_NE(message(model, source, {.reshape = repeat}).find("a is 3×2 where the model has 2×3"), std::string::npos);
}

TEST(LoadReport, OnlyTheFirstTenAreNamed) {
  Model model;
  StateDict source = matching();
  for (int i = 10; i < 30; ++i) source.set(std::string("x").append(std::to_string(i)), at::zeros({1}));
  const std::string text = message(model, source, {});
  EXPECT_NE(text.find("20 tensors have no place in this model: x10, x11"), std::string::npos);
  EXPECT_NE(text.find("x19 and 10 more"), std::string::npos);
}

TEST(LoadReport, WeightsThatAreNoNumbersAreRefusedByName) {
  const at::Tensor target = at::zeros({2});
  StateDict source;
  source.set("w", at::full({2}, std::numeric_limits<float>::quiet_NaN()));
  try {
    load_into({{"w", target}}, source, {});
    FAIL() << "NaN was loaded";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("'w'"), std::string::npos);
  }
  EXPECT_TRUE(at::equal(target, at::zeros({2})));
  source.set("w", at::full({2}, 1e300, at::kDouble));  // a number there, but none in the model
  EXPECT_THROW(load_into({{"w", target}}, source, {}), DataError);
  source.set("w", at::ones({2}, at::kLong));
  try {
    load_into({{"w", target}}, source, {});
    FAIL() << "another type was loaded";
  } catch (const DataError& error) {
    EXPECT_EQ(std::string(error.what()).find("size"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace vicha
