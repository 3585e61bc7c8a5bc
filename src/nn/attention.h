// Multi-head attention over packed sequences, without their projections.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/dropout.h"
#include "nn/segments.h"

namespace vicha {

/// qkv (T, 3 H d), the queries, keys and values side by side -> (T, H d). Scores are scaled by 1 / sqrt(d), dropout
/// acts on the probabilities. segments->q_rows == segments->k_rows == T.
at::Tensor self_attention(const at::Tensor& qkv_T3D, std::int64_t heads, const SegmentsPtr& segments,
                          const DropoutDraw& dropout = {});

/// Queries (T, H d) over keys and values (S, 2 H d) side by side -> (T, H d).
at::Tensor cross_attention(const at::Tensor& q_TD, const at::Tensor& kv_S2D, std::int64_t heads,
                           const SegmentsPtr& segments, const DropoutDraw& dropout = {});

/// The same by padding and LibTorch's own attention: what other devices run, and what the tests compare with.
at::Tensor attention_reference(const at::Tensor& q_TD, const at::Tensor& k_SD, const at::Tensor& v_SD,
                               std::int64_t heads, const SegmentsPtr& segments, double dropout_probability = 0.0);

}  // namespace vicha
