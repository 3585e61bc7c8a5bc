// Every operation of this room against its plain LibTorch form in double, values and gradients, where vectors of 4, 8
// or 16 do not fit: no row, one row, one column, a little less or more than a multiple.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "nn/comparison_test.h"
#include "nn/dropout.h"
#include "nn/gelu.h"
#include "nn/kernel_choice.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/position.h"

namespace vicha {
namespace {

at::Tensor exact(const at::Tensor& x) { return x.to(at::kDouble); }

class OddSizes : public testing::TestWithParam<std::tuple<std::int64_t, std::int64_t>> {
 protected:
  void SetUp() override { at::manual_seed(11); }
  std::int64_t rows() const { return std::get<0>(GetParam()); }
  std::int64_t width() const { return std::get<1>(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(RowsAndWidths, OddSizes,
                         testing::Combine(testing::Values(0, 1, 5, 129), testing::Values(1, 3, 7, 17, 63, 65, 385)));

TEST_P(OddSizes, LayerNorm) {
  // At width 1 every gradient of x is zero but for rounding, which a small eps would blow up.
  const double eps = width() == 1 ? 1e-2 : 1e-5;
  const at::Tensor x = leaf({rows(), width()}), w = leaf({width()}), b = leaf({width()});
  const at::Tensor plain = at::layer_norm(exact(x), {width()}, exact(w), exact(b), eps);
  expect_near(LayerNorm{w, b, eps}(x), plain, {x, w, b}, 5e-6);
}

TEST_P(OddSizes, ResidualNormWithAndWithoutDropout) {
  const double eps = width() == 1 ? 1e-2 : 1e-5;
  const at::Tensor x = leaf({rows(), width()}), d = leaf({rows(), width()}), bias = leaf({width()});
  const at::Tensor w = leaf({width()}), b = leaf({width()});
  for (const DropoutDraw& draw : {DropoutDraw{}, DropoutDraw{0.4, 77}}) {
    const at::Tensor mask = apply_dropout(at::ones({rows(), width()}), draw);
    const at::Tensor sum = exact(x) + exact(mask) * (exact(d) + exact(bias));
    const at::Tensor plain = at::layer_norm(sum, {width()}, exact(w), exact(b), eps);
    const ResidualNorm ours = residual_layer_norm(x, d, bias, {w, b, eps}, draw);
    expect_near(ours.sum, sum, {x, d, bias}, 2e-6);
    expect_near(ours.out, plain, {x, d, bias, w, b}, 5e-6);
    expect_near(ours.sum + 2 * ours.out, sum + 2 * plain, {x, d, bias, w, b}, 5e-6);
  }
}

TEST_P(OddSizes, NormOfBf16BranchOnEitherStream) {
  if (width() == 1) GTEST_SKIP() << "the norm of one column is what rounding left of it";
  const at::Tensor w = leaf({width()}), b = leaf({width()}), bias = leaf({width()});
  const at::Tensor d = leaf({rows(), width()});
  for (const at::ScalarType stream : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = leaf({rows(), width()});
    const at::Tensor narrow_x = x.to(stream), narrow_d = d.to(at::kBFloat16);
    const at::Tensor sum = exact(narrow_x) + exact(narrow_d) + exact(bias);
    const at::Tensor plain = at::layer_norm(sum, {width()}, exact(w), exact(b), 1e-2);
    const ResidualNorm ours = residual_layer_norm(narrow_x, narrow_d, bias, {w, b, 1e-2});
    EXPECT_EQ(ours.out.scalar_type(), at::kBFloat16);
    expect_near(ours.sum, sum, {x, d, bias}, 2e-2);
    expect_near(ours.out, plain, {x, d, bias, w, b}, 4e-2);
  }
}

TEST_P(OddSizes, Gelu) {
  const at::Tensor x = leaf({rows(), width()}, 3.0), bias = leaf({width()});
  const at::Tensor plain = at::gelu(exact(x) + exact(bias));
  expect_near(bias_gelu(x, bias), plain, {x, bias}, 2e-6);
  expect_near(bias_gelu(x.to(at::kBFloat16), bias), plain, {x, bias}, 4e-2);
}

TEST_P(OddSizes, QuickGelu) {
  const at::Tensor x = at::randn({rows(), width()}) * 3, bias = at::randn({width()});
  const at::Tensor v = exact(x) + exact(bias), plain = v * at::sigmoid(v * 1.702);
  expect_near(bias_quick_gelu_(x.clone(), bias), plain, 1e-6);
  expect_near(bias_quick_gelu_(x.to(at::kBFloat16), bias), plain, 2e-2);
}

TEST_P(OddSizes, Dropout) {
  const at::Tensor x = leaf({rows(), width()});
  const DropoutDraw draw{0.3, 4242};
  const at::Tensor mask = apply_dropout(at::ones({rows(), width()}), draw);
  EXPECT_TRUE(at::logical_or(mask.eq(0), mask.eq(draw.scale())).all().item<bool>());
  if (mask.numel() > 5000) {
    EXPECT_NEAR(mask.gt(0).to(at::kDouble).mean().item<double>(), 0.7, 0.03);
  }
  expect_near(apply_dropout(x, draw), exact(x) * exact(mask), {x}, 1e-6);
  EXPECT_TRUE(apply_dropout(x, {}).is_same(x));
}

TEST_P(OddSizes, ProductsOfALinearMap) {
  const std::int64_t outputs = 33;
  const at::Tensor x = leaf({rows(), width()}), w = leaf({outputs, width()}), b = leaf({outputs});
  const at::Tensor plain = at::linear(exact(x), exact(w), exact(b));
  expect_near(Linear{w, b}(x), plain, {x, w, b}, 3e-6);
  expect_near(matmul_nt(x, w), at::mm(exact(x), exact(w).t()), {x, w}, 3e-6);
  // The three alone, one output included.
  for (const std::int64_t o : {std::int64_t{1}, outputs}) {
    const at::Tensor a = at::randn({rows(), width()}), weight = at::randn({o, width()}), g = at::randn({rows(), o});
    expect_near(products::nt(a, weight, {}), at::mm(exact(a), exact(weight).t()), 3e-6);
    expect_near(products::nn(g, weight), at::mm(exact(g), exact(weight)), 3e-6);
    expect_near(products::tn(g, a), at::mm(exact(g).t(), exact(a)), 3e-6);
  }
}

TEST_P(OddSizes, UnitRows) {
  const at::Tensor x = leaf({rows(), width()});
  const at::Tensor plain = exact(x) / exact(x).norm(2, {1}, true).clamp_min(1e-12);
  expect_near(unit_rows(x), plain, 1e-6);
  if (width() > 1) expect_near(unit_rows(x), plain, {x}, 3e-6);  // of one column: zero but for rounding, over x
  EXPECT_TRUE(at::equal(unit_rows(at::zeros({2, width()})), at::zeros({2, width()})));
}

/// Weights (to, from) of cubic convolution with a = -0.75 along one side; pixels beyond the border repeat it.
at::Tensor cubic_weights(std::int64_t from, std::int64_t to) {
  const double a = -0.75;
  const auto weight = [a](double t) {
    t = std::abs(t);
    if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0.0;
  };
  at::Tensor result = at::zeros({to, from}, at::kDouble);
  auto values = result.accessor<double, 2>();
  for (std::int64_t i = 0; i < to; ++i) {
    const double at = (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
    const auto base = static_cast<std::int64_t>(std::floor(at));
    for (std::int64_t j = base - 1; j <= base + 2; ++j) {
      values[i][std::clamp<std::int64_t>(j, 0, from - 1)] += weight(at - static_cast<double>(j));
    }
  }
  return result;
}

TEST(Positions, ResizeIsCubicConvolutionAndKeepsTheClass) {
  for (const auto& [from, to, width] : {std::tuple<std::int64_t, std::int64_t, std::int64_t>{3, 5, 7},
                                        {7, 4, 17},
                                        {1, 3, 3},
                                        {4, 1, 1},
                                        {5, 9, 65},
                                        {24, 17, 3}}) {
    SCOPED_TRACE(testing::Message() << from << " to " << to);
    const at::Tensor positions = leaf({1, 1 + from * from, width}), w = cubic_weights(from, to);
    const at::Tensor grid = exact(positions).slice(1, 1).reshape({from, from, width});
    const at::Tensor resized = at::einsum("ai,bj,ijd->abd", {w, w, grid}).reshape({1, to * to, width});
    const at::Tensor plain = at::cat({exact(positions).slice(1, 0, 1), resized}, 1);
    expect_near(resize_positions(positions, to), plain, {positions}, 3e-6);
    EXPECT_TRUE(resize_positions(positions, from).is_same(positions));
  }
  EXPECT_THROW(resize_positions(at::zeros({1, 1 + 8, 4}), 3), DataError);
}

TEST(Positions, ResizeTakesEachSideOfAGridByItself) {
  const PatchGrid from{2, 5}, to{4, 3};
  const at::Tensor positions = leaf({1, 1 + from.patches(), 7});
  const at::Tensor grid = exact(positions).slice(1, 1).reshape({from.rows, from.columns, 7});
  const at::Tensor resized =
      at::einsum("ai,bj,ijd->abd", {cubic_weights(from.rows, to.rows), cubic_weights(from.columns, to.columns), grid});
  const at::Tensor plain = at::cat({exact(positions).slice(1, 0, 1), resized.reshape({1, to.patches(), 7})}, 1);
  expect_near(resize_positions(positions, from, to), plain, {positions}, 3e-6);
  // As many patches in another shape are other positions.
  EXPECT_FALSE(at::equal(resize_positions(positions, from, {5, 2}), positions));
}

TEST(Positions, SinesAndCosinesOfARectangleAreThoseOfASquareAroundIt) {
  const at::Tensor square = sincos_positions(8, 5).slice(1, 1).view({5, 5, 8});
  const at::Tensor rectangle = sincos_positions(8, 3, 5).slice(1, 1).view({3, 5, 8});
  EXPECT_TRUE(at::equal(rectangle, square.slice(0, 0, 3)));
  EXPECT_TRUE(at::equal(sincos_positions(8, 5, 3).slice(1, 1).view({5, 3, 8}), square.slice(1, 0, 3)));
}

TEST(Positions, UnfoldedPatchesAreThoseOfTheLibrary) {
  for (const std::int64_t patch : {1, 3, 7}) {
    const at::Tensor image = at::randn({2, 3, 23, 23});
    const std::int64_t whole = 23 / patch * patch;
    const at::Tensor columns =
        at::im2col(image.slice(2, 0, whole).slice(3, 0, whole), {patch, patch}, {1, 1}, {0, 0}, {patch, patch});
    EXPECT_TRUE(at::equal(unfold_patches(image, patch), columns.transpose(1, 2).reshape({-1, 3 * patch * patch})));
  }
}

TEST(Positions, SinesAndCosinesAreTheirFormula) {
  const std::int64_t width = 12, side = 3, quarter = width / 4;
  const at::Tensor p = sincos_positions(width, side);
  ASSERT_EQ(p.sizes(), (at::IntArrayRef{1, 1 + side * side, width}));
  EXPECT_EQ(p[0][0].abs().max().item<double>(), 0.0);
  for (std::int64_t row = 0; row < side; ++row) {
    for (std::int64_t column = 0; column < side; ++column) {
      const at::Tensor at = p[0][1 + row * side + column];
      for (std::int64_t i = 0; i < quarter; ++i) {
        const double omega = std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(quarter));
        const double x = static_cast<double>(column) * omega, y = static_cast<double>(row) * omega;
        EXPECT_NEAR(at[i].item<double>(), std::sin(x), 1e-6);
        EXPECT_NEAR(at[quarter + i].item<double>(), std::cos(x), 1e-6);
        EXPECT_NEAR(at[2 * quarter + i].item<double>(), std::sin(y), 1e-6);
        EXPECT_NEAR(at[3 * quarter + i].item<double>(), std::cos(y), 1e-6);
      }
    }
  }
}

}  // namespace
}  // namespace vicha
