// Layer normalisation, alone and fused with what stands before it in a transformer block.
// T rows (tokens), D width; everything is (T, D), contiguous.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/dropout.h"

namespace vicha {

/// Learned scale and shift, each (D).
struct LayerNorm {
  at::Tensor weight, bias;
  double eps = 1e-6;

  /// (T, D) -> (T, D); any leading shape.
  at::Tensor operator()(const at::Tensor& x) const;
};

struct ResidualNorm {
  at::Tensor sum;  ///< residual + dropout(delta + bias)
  at::Tensor out;  ///< its normalisation
};

/// One pass over memory for: add the bias of the linear map that made `delta`, drop, add the residual, normalise. Equal
/// to the four operations one after the other (ops_test.cpp).
ResidualNorm residual_layer_norm(const at::Tensor& residual_TD, const at::Tensor& delta_TD, const at::Tensor& bias_D,
                                 const LayerNorm& norm, const DropoutDraw& dropout = {});

/// Rows scaled to length 1, fp32: (B, E) -> (B, E).
at::Tensor unit_rows(const at::Tensor& x_BE);

}  // namespace vicha
