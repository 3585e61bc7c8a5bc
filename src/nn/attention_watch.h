// Attention of one layer by probabilities that can be looked at, and the map of what a number rests on by them
// (Grad-CAM; method, section 5.5). The plain path of nn/attention.h, for the layer that is watched alone.
// T rows of queries, S of keys, H heads; N segments of at most Q queries and K keys.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/segments.h"

namespace vicha {

class AttentionWatch {
 public:
  /// Of a stack of layers, the one that is watched, from 0. What lies below it runs without gradient, so that no more
  /// than the layers from there on are remembered.
  explicit AttentionWatch(std::int64_t layer) : layer_(layer) {}
  std::int64_t layer() const { return layer_; }

  /// Called by the layer: queries (T, H d) over keys and values (S, H d) -> (T, H d), as attention_reference. The
  /// probabilities are kept as a leaf.
  at::Tensor attend(const at::Tensor& q_TD, const at::Tensor& k_SD, const at::Tensor& v_SD, std::int64_t heads,
                    const SegmentsPtr& segments);

  /// Mean over heads of A * max(dA, 0), A the probabilities and dA their gradient of `number` (a scalar): of each row
  /// of queries, of each key of its segment (T, K), 0 where there is none. `again`: more maps of the same pass follow.
  at::Tensor map(const at::Tensor& number, bool again = false) const;

 private:
  std::int64_t layer_;
  at::Tensor probabilities_NHQK_;
  SegmentsPtr segments_;
};

}  // namespace vicha
