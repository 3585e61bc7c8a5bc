// The pre-norm transformer block of ViT and of the MAE decoder (timm's layout and names).
#pragma once

#include <string>

#include "nn/attention.h"
#include "nn/attention_watch.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/parameters.h"

namespace vicha {

enum class Activation { kGelu, kQuickGelu };

struct VitBlock {
  LayerNorm norm1;
  Linear qkv;   ///< (3 D, D)
  Linear proj;  ///< (D, D)
  LayerNorm norm2;
  Linear fc1, fc2;
  std::int64_t heads = 0;
  Activation activation = Activation::kGelu;  ///< the quick one has no gradient

  VitBlock() = default;
  /// Registers its parameters under `prefix` ("visual_encoder.blocks.0.").
  VitBlock(ParameterStore& store, const std::string& prefix, std::int64_t width, std::int64_t heads, double eps);

  /// `stream` (T, D) is the residual stream before the block and `normed` its norm1. Returns the stream after the block
  /// and `next` of it (the following block's norm1, or the final norm). With `watch` the probabilities are kept there.
  ResidualNorm operator()(const at::Tensor& stream, const at::Tensor& normed, const SegmentsPtr& segments,
                          const LayerNorm& next, AttentionWatch* watch = nullptr) const;

  /// The same for the rows `rows` (P) only: they are queries, all rows keys and values. `segments` has P query rows.
  ResidualNorm at_rows(const at::Tensor& stream, const at::Tensor& normed, const at::Tensor& rows,
                       const SegmentsPtr& segments, const LayerNorm& next) const;

 private:
  ResidualNorm finish(const at::Tensor& stream, const at::Tensor& attended, const LayerNorm& next) const;
};

/// Registers a layer norm ("<prefix>weight", "<prefix>bias").
LayerNorm add_layer_norm(ParameterStore& store, const std::string& prefix, std::int64_t width, double eps);
/// Registers a linear map; its bias starts at zero, or as PyTorch's default where the weight does.
Linear add_linear(ParameterStore& store, const std::string& prefix, std::int64_t inputs, std::int64_t outputs,
                  Init init);

}  // namespace vicha
