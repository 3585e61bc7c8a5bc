// What tests of losses share: gradients against finite differences.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>

namespace vicha {

inline at::Tensor learned(at::IntArrayRef shape) { return at::randn(shape, at::kDouble).set_requires_grad(true); }

/// The derivative of `loss` at x in a random direction, by autograd and by central difference. Losses that reckon in
/// single precision need the wide step and tolerance.
inline void expect_slope(const std::function<at::Tensor(const at::Tensor&)>& loss, const at::Tensor& x, double h = 3e-3,
                         double tolerance = 1e-3) {
  const at::Tensor direction = at::randn(x.sizes(), at::kDouble), here = x.detach();
  const double slope = (torch::autograd::grad({loss(x)}, {x})[0] * direction).sum().item<double>();
  const auto at_distance = [&](double d) { return loss(here + d * direction).item<double>(); };
  EXPECT_NEAR(slope, (at_distance(h) - at_distance(-h)) / (2 * h), tolerance * (1 + std::abs(slope)));
  EXPECT_NE(slope, 0.0);
}

}  // namespace vicha
