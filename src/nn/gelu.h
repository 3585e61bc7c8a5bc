#pragma once

#include <ATen/core/Tensor.h>

namespace vicha {

/// Exact GELU of x + bias in one pass: (T, F), (F) -> (T, F). The bias is that of the linear map before.
at::Tensor bias_gelu(const at::Tensor& x_TF, const at::Tensor& bias_F);

}  // namespace vicha
