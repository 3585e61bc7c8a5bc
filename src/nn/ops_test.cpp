// Every fused operation equals the plain operations it stands for, forward and backward.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "nn/attention.h"
#include "nn/comparison_test.h"
#include "nn/gelu.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/precision.h"

namespace vicha {
namespace {

TEST(Gelu, EqualsTheExactForm) {
  const at::Tensor x = leaf({37, 50}, 3.0), bias = leaf({50});
  expect_equal(bias_gelu(x, bias), at::gelu(x + bias), {x, bias}, 1e-6);
  const at::Tensor line = at::linspace(-8, 8, 4001).view({1, -1}), zero = at::zeros({4001});
  EXPECT_LT((bias_gelu(line, zero) - at::gelu(line.to(at::kDouble)).to(at::kFloat)).abs().max().item<double>(), 5e-7);
}

TEST(Norm, EqualsLayerNorm) {
  const at::Tensor x = leaf({33, 48}), w = leaf({48}), b = leaf({48});
  expect_equal(LayerNorm{w, b, 1e-6}(x), at::layer_norm(x, {48}, w, b, 1e-6), {x, w, b}, 1e-6);
}

TEST(Norm, FusedResidualEqualsTheSteps) {
  const at::Tensor x = leaf({33, 48}), d = leaf({33, 48}), bias = leaf({48}), w = leaf({48}), b = leaf({48});
  const ResidualNorm fused = residual_layer_norm(x, d, bias, {w, b, 1e-12});
  const at::Tensor sum = x + d + bias;
  const at::Tensor plain = at::layer_norm(sum, {48}, w, b, 1e-12);
  expect_equal(fused.out, plain, {x, d, bias, w, b}, 1e-6);
  expect_equal(fused.sum + 2 * fused.out, sum + 2 * plain, {x, d, bias, w, b}, 1e-6);
  expect_equal(fused.sum, sum, {x, d, bias}, 1e-6);
}

TEST(Norm, DropoutKeepsTheShareAndTheBackwardPassDropsTheSame) {
  const at::Tensor x = at::zeros({64, 256}).set_requires_grad(true), d = at::ones({64, 256}).set_requires_grad(true);
  const at::Tensor zero = at::zeros({256}), one = at::ones({256});
  const ResidualNorm r = residual_layer_norm(x, d, zero, {one, zero, 1e-12}, {0.25, 99});
  const at::Tensor kept = r.sum.gt(0);
  EXPECT_NEAR(kept.to(at::kDouble).mean().item<double>(), 0.75, 0.02);
  EXPECT_TRUE(at::allclose(r.sum.masked_select(kept), at::full({}, 1.0 / 0.75)));
  const auto g = torch::autograd::grad({r.sum.sum()}, {d});
  EXPECT_TRUE(at::equal(g[0].gt(0), kept));
}

TEST(Linear, EqualsTheLibrary) {
  const at::Tensor x = leaf({3, 7, 20}), w = leaf({30, 20}), b = leaf({30});
  expect_equal(Linear{w, b}(x), at::linear(x, w, b), {x, w, b}, 1e-6);
  const at::Tensor flat = leaf({21, 20});
  expect_equal(matmul_nt(flat, w), at::mm(flat, w.t()), {flat, w}, 1e-6);
}

TEST(Linear, FrozenWeightsGetNoGradient) {
  const at::Tensor x = leaf({5, 4}), w = at::randn({3, 4}), b = at::randn({3});
  Linear{w, b}(x).sum().backward();
  EXPECT_TRUE(x.grad().defined());
  EXPECT_FALSE(w.grad().defined());
}

class Attention : public testing::TestWithParam<int> {};

SegmentsPtr segments_of(int which, bool self) {
  const std::vector<std::int64_t> lengths = {5, 1, 130, 7}, block = {2, 0, 1, 2}, real = {3, 9, 1};
  if (self) return which == 0 ? Segments::packed(lengths) : Segments::uniform(3, 9, real);
  if (which == 0) return Segments::cross(lengths, block, 4, 11);  // no query attends to block 3
  return Segments::joined({Segments::cross(lengths, block, 3, 6), Segments::cross(lengths, block, 3, 9)});
}

TEST_P(Attention, SelfEqualsTheReference) {
  const SegmentsPtr s = segments_of(GetParam(), true);
  const at::Tensor qkv = leaf({s->q_rows, 3 * 24});
  const auto parts = qkv.chunk(3, 1);
  expect_equal(self_attention(qkv, 4, s), attention_reference(parts[0], parts[1], parts[2], 4, s), {qkv}, 2e-6);
}

TEST_P(Attention, CrossEqualsTheReference) {
  const SegmentsPtr s = segments_of(GetParam(), false);
  const at::Tensor q = leaf({s->q_rows, 24}), kv = leaf({s->k_rows, 48});
  const auto parts = kv.chunk(2, 1);
  expect_equal(cross_attention(q, kv, 3, s), attention_reference(q, parts[0], parts[1], 3, s), {q, kv}, 2e-6);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention, testing::Values(0, 1));

TEST(AttentionDropout, GradientIsThatOfTheDrawnFunction) {
  // Finite differences of one draw: the mask of the backward pass must be the forward's.
  const SegmentsPtr s = Segments::packed(std::vector<std::int64_t>{6, 3});
  const at::Tensor qkv = leaf({9, 3 * 8});
  const DropoutDraw draw{0.3, 1234};
  const at::Tensor weight = at::randn({9, 8}), direction = at::randn({9, 24});
  const auto value = [&](double step) {
    return (self_attention((qkv + step * direction).detach(), 2, s, draw) * weight).sum().item<double>();
  };
  const at::Tensor g = gradients(self_attention(qkv, 2, s, draw), weight, {qkv})[0];
  const double analytic = (g * direction).sum().item<double>(), numeric = (value(1e-2) - value(-1e-2)) / 2e-2;
  EXPECT_NEAR(analytic, numeric, 2e-3 * std::max(1.0, std::abs(numeric)));
  EXPECT_FALSE(at::allclose(self_attention(qkv, 2, s, draw), self_attention(qkv, 2, s)));
}

TEST(Bf16, FollowsFp32WithinItsPrecision) {
  const at::Tensor x = leaf({40, 32}), w = leaf({64, 32}, 0.2), b = leaf({64}), scale = leaf({32}), shift = leaf({32});
  const auto run = [&] { return bias_gelu(matmul_nt(LayerNorm{scale, shift, 1e-6}(x), w), b); };
  const at::Tensor plain = run();
  at::Tensor half;
  {
    const Bf16Scope scope(true);
    half = run();
  }
  EXPECT_EQ(half.scalar_type(), at::kBFloat16);
  expect_equal(half.to(at::kFloat), plain, {x, w, b, scale, shift}, 2e-2);
  const SegmentsPtr s = Segments::packed(std::vector<std::int64_t>{17, 23});
  const at::Tensor qkv = leaf({40, 96});
  expect_equal(self_attention(qkv.to(at::kBFloat16), 4, s).to(at::kFloat), self_attention(qkv, 4, s), {qkv}, 2e-2);
}

}  // namespace
}  // namespace vicha
