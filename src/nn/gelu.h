#pragma once

#include <ATen/core/Tensor.h>

namespace vicha {

/// Exact GELU of x + bias in one pass: (T, F), (F) -> (T, F). The bias is that of the linear map before.
at::Tensor bias_gelu(const at::Tensor& x_TF, const at::Tensor& bias_F);

/// CLIP's approximation, v sigmoid(1.702 v) with v = x + bias, in the place of x where it is contiguous and on the CPU:
/// the product's widest result stays in the cache. Has no gradient.
at::Tensor bias_quick_gelu_(const at::Tensor& x_TF, const at::Tensor& bias_F);

}  // namespace vicha
