// Matrix products of the model: y = x W^T (+ b). T rows, I inputs, O outputs.
#pragma once

#include <ATen/core/Tensor.h>

namespace vicha {

/// x (T, I) times weight (O, I) transposed -> (T, O), in compute_type(). The bias is left to the operation that follows
/// (norm.h, gelu.h), which adds it on its way. weight and its gradient stay fp32.
at::Tensor matmul_nt(const at::Tensor& x_TI, const at::Tensor& weight_OI);

struct Linear {
  at::Tensor weight;  ///< (O, I)
  at::Tensor bias;    ///< (O), or undefined

  /// (…, I) -> (…, O) with the bias.
  at::Tensor operator()(const at::Tensor& x) const;
};

}  // namespace vicha
