// How the tests of this room compare a fused operation with the plain ones it stands for.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <vector>

namespace vicha {

inline at::Tensor leaf(at::IntArrayRef shape, double scale = 1.0) {
  return (at::randn(shape) * scale).set_requires_grad(true);
}

/// The length of the difference as a share of b's, in double.
inline double relative(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.detach().to(at::kDouble), y = b.detach().to(at::kDouble);
  return (x - y).norm().item<double>() / std::max(1e-12, y.norm().item<double>());
}

/// Gradients of sum(out * weight) with respect to `leaves`.
inline std::vector<at::Tensor> gradients(const at::Tensor& out, const at::Tensor& weight,
                                         const std::vector<at::Tensor>& leaves) {
  return torch::autograd::grad({(out.to(weight.scalar_type()) * weight).sum()}, leaves, {}, true, false, true);
}

inline void expect_equal(const at::Tensor& ours, const at::Tensor& plain, const std::vector<at::Tensor>& leaves,
                         double tolerance) {
  EXPECT_LT(relative(ours, plain), tolerance);
  const at::Tensor weight = at::randn(plain.sizes());
  const auto a = gradients(ours, weight, leaves), b = gradients(plain, weight, leaves);
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    ASSERT_EQ(a[i].defined(), b[i].defined()) << i;
    if (a[i].defined()) {
      EXPECT_LT(relative(a[i], b[i]), tolerance) << "gradient " << i;
    }
  }
}

/// |a - b| <= tolerance * (1 + largest |b|) everywhere, for shapes whose true values may all be zero.
inline void expect_near(const at::Tensor& a, const at::Tensor& b, double tolerance) {
  ASSERT_EQ(a.sizes(), b.sizes());
  if (b.numel() == 0) return;
  const at::Tensor x = a.detach().to(at::kDouble), y = b.detach().to(at::kDouble);
  EXPECT_LE((x - y).abs().max().item<double>(), tolerance * (1.0 + y.abs().max().item<double>()));
}

/// The same for values and gradients.
inline void expect_near(const at::Tensor& ours, const at::Tensor& plain, const std::vector<at::Tensor>& leaves,
                        double tolerance) {
  expect_near(ours, plain, tolerance);
  const at::Tensor weight = at::randn(plain.sizes(), at::kDouble);
  const auto a = gradients(ours, weight, leaves), b = gradients(plain, weight, leaves);
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "gradient " << i);
    ASSERT_TRUE(a[i].defined() && b[i].defined());
    expect_near(a[i], b[i], tolerance);
  }
}

}  // namespace vicha
