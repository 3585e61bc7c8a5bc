// The row kernels alone: each against LibTorch's operation on a row, and that the wide variants are used.
#include "nn/kernels.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "nn/comparison_test.h"
#include "nn/simd.h"
#include "nn/vector_math.h"

namespace vicha {
namespace {

float* data_of(const at::Tensor& x) { return x.data_ptr<float>(); }

class RowKernels : public testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override { at::manual_seed(3); }
};
INSTANTIATE_TEST_SUITE_P(Widths, RowKernels, testing::Values(1, 3, 7, 17, 63, 65, 385));

TEST_P(RowKernels, SoftmaxForwardAndBackward) {
  const std::int64_t n = GetParam();
  const float scale = 0.37f;
  for (const double spread : {1.0, 100.0}) {
    const at::Tensor scores = (at::randn({n}) * spread).set_requires_grad(true);
    const at::Tensor plain = at::softmax(scores.to(at::kDouble) * scale, 0);
    const at::Tensor p = scores.detach().clone(), again = p.clone();
    const float lse = kernels::softmax_row(data_of(p), scale, n);
    expect_near(p, plain, 2e-6);
    EXPECT_NEAR(lse, at::logsumexp(scores.to(at::kDouble) * scale, {0}).item<double>(), 1e-6 * (1 + std::abs(lse)));
    kernels::exp_row(data_of(again), scale, lse, n);
    expect_near(again, plain, 1e-5);
    // The gradient with and without dropout: `dot` is that of what came out with what came back.
    const at::Tensor upstream = at::randn({n});
    for (const DropoutDraw& draw : {DropoutDraw{}, DropoutDraw{0.25, 9}}) {
      const std::uint32_t seed = draw.row_seed(4);
      at::Tensor mask = at::ones({n}), grad = upstream.clone();
      if (draw.threshold() != 0) kernels::drop_row(data_of(mask), draw.threshold(), seed, draw.scale(), n);
      const float dot = kernels::dot_row(data_of(p * mask), data_of(upstream), n);
      kernels::softmax_backward_row(data_of(p), data_of(grad), dot, scale, draw.threshold(), seed, draw.scale(), n);
      const at::Tensor out = plain * mask.to(at::kDouble);
      expect_near(grad, gradients(out, upstream.to(at::kDouble), {scores})[0], 5e-6);
    }
  }
}

TEST_P(RowKernels, DotAndDrop) {
  const std::int64_t n = GetParam();
  const at::Tensor a = at::randn({n}), b = at::randn({n});
  EXPECT_NEAR(kernels::dot_row(data_of(a), data_of(b), n), at::dot(a.to(at::kDouble), b.to(at::kDouble)).item<double>(),
              2e-6 * (1 + a.norm().item<double>() * b.norm().item<double>()));
  const at::Tensor dropped = a.clone();
  const DropoutDraw draw{0.5, 1};
  kernels::drop_row(data_of(dropped), draw.threshold(), 8, draw.scale(), n);
  for (std::int64_t i = 0; i < n; ++i) {
    const bool kept = random_bits(8, static_cast<std::uint32_t>(i)) >= draw.threshold();
    EXPECT_EQ(data_of(dropped)[i], kept ? 2.0f * data_of(a)[i] : 0.0f);
  }
}

TEST_P(RowKernels, ConversionsRoundAsTheLibrary) {
  const std::int64_t n = GetParam();
  at::Tensor x = at::randn({n}) * 1e3;
  data_of(x)[0] = NAN;
  if (n > 2) data_of(x)[1] = 1.0f + 0x1p-8f, data_of(x)[2] = -INFINITY;  // halfway between two numbers of bf16
  const at::Tensor plain = x.to(at::kBFloat16), ours = at::empty_like(plain), back = at::empty_like(x);
  kernels::copy_from_float(data_of(x), ours.data_ptr<c10::BFloat16>(), n);
  EXPECT_TRUE(at::allclose(ours, plain, 0, 0, true));
  kernels::copy_to_float(ours.data_ptr<c10::BFloat16>(), data_of(back), n);
  EXPECT_TRUE(at::allclose(back, plain.to(at::kFloat), 0, 0, true));
}

TEST_P(RowKernels, MovingAverage) {
  const std::int64_t n = GetParam();
  const at::Tensor average = at::randn({n}), online = at::randn({n});
  const at::Tensor plain = average.to(at::kDouble).lerp(online.to(at::kDouble), 0.005f);
  kernels::ema_row(data_of(average), data_of(online), 0.005f, n);
  expect_near(average, plain, 2e-7);
}

TEST_P(RowKernels, AdamwFollowsTheLibrary) {
  const std::int64_t n = GetParam();
  const double lr = 1e-2, beta1 = 0.9, beta2 = 0.98, decay = 0.02, eps = 1e-8;
  at::Tensor p = at::randn({n}), m = at::zeros({n}), v = at::zeros({n});
  at::Tensor plain = p.clone(), plain_m = m.clone(), plain_v = v.clone(), step = at::zeros({}, at::kFloat);
  for (int t = 1; t <= 4; ++t) {
    const at::Tensor g = at::randn({n});
    const double bias1 = 1 - std::pow(beta1, t), bias2 = 1 - std::pow(beta2, t);
    kernels::AdamwFactors f{};
    f.keep = static_cast<float>(1 - lr * decay);
    f.beta2 = static_cast<float>(beta2);
    f.new1 = static_cast<float>(1 - beta1);
    f.new2 = static_cast<float>(1 - beta2);
    f.step = static_cast<float>(lr / bias1);
    f.bias2_sqrt = static_cast<float>(std::sqrt(bias2));
    f.eps = static_cast<float>(eps);
    f.grad_scale = 0.5f;
    kernels::adamw_row(data_of(p), data_of(g), data_of(m), data_of(v), f, n);
    step += 1;
    at::_fused_adamw_({plain}, {g * 0.5}, {plain_m}, {plain_v}, {}, {step}, lr, beta1, beta2, decay, eps, false, false);
  }
  expect_near(p, plain, 1e-6);
  expect_near(m, plain_m, 1e-6);
  expect_near(v, plain_v, 1e-6);
}

TEST(WideKernels, AreTheOnesThatRun) {
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    GTEST_SKIP() << "this processor has the base set only";
  }
  // Compiled for AVX2 or AVX-512, a product and a sum are rounded once; for the base set, twice. Such numbers tell.
  int told = 0;
  for (int i = 0; i < 200; ++i) {
    const float rate = 0.1f, online = 1.0f + 0.37f * static_cast<float>(i), before = 0.3f;
    const volatile float product = rate * (online - before);
    const float once = std::fma(rate, online - before, before), twice = before + product;
    float average = before;
    kernels::ema_row(&average, &online, rate, 1);
    EXPECT_EQ(average, once) << i;
    told += once != twice;
  }
  EXPECT_GT(told, 10);
#else
  GTEST_SKIP() << "row kernels have one form in this build";
#endif
}

}  // namespace
}  // namespace vicha
