// One of CLIP's two towers: pre-norm transformer layers under OpenAI's names.
// B sequences, S rows each, T rows of all, D width.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "models/clip_options.h"

namespace vicha {

class ClipTower {
 public:
  /// Registers "<prefix>resblocks.N.…".
  ClipTower(ParameterStore& store, const std::string& prefix, const ClipTowerOptions& options, Init weights);

  /// The pooled row of each sequence after all layers and `norm`: (T, D) and row numbers (B) -> (B, D). The last layer
  /// is computed at these rows only, which attend to the whole sequence: with `segments` causal the pooled row must be
  /// its sequence's last.
  at::Tensor pooled(const at::Tensor& stream_TD, const SegmentsPtr& segments, const std::vector<std::int64_t>& rows,
                    const LayerNorm& norm) const;

  /// Every row after all layers, and `norm` of it.
  ResidualNorm all(const at::Tensor& stream_TD, const SegmentsPtr& segments, const LayerNorm& norm) const;

  /// Every layer in full, by plain operations, each sequence for itself: (B, S, D) -> the stream before the first
  /// layer, after it, … after the last. What the golden files hold, and what the tests compare `pooled` with.
  std::vector<at::Tensor> plain(const at::Tensor& stream_BSD, bool causal) const;

 private:
  std::vector<VitBlock> blocks_;
};

}  // namespace vicha
