#pragma once

#include <ATen/core/Tensor.h>

namespace vicha {

/// Exact GELU of x + bias in one pass: (T, F), (F) -> (T, F). The bias is that of the linear map before.
at::Tensor bias_gelu(const at::Tensor& x_TF, const at::Tensor& bias_F);

/// CLIP's approximation, v sigmoid(1.702 v) with v = x + bias. Has no gradient.
at::Tensor bias_quick_gelu(const at::Tensor& x_TF, const at::Tensor& bias_F);

}  // namespace vicha
