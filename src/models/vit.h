// The image encoder: ViT with concept tokens (method, section 2).
// B images, N patches, K concept tokens, S = 1 + N + K tokens of an image, D width.
#pragma once

#include <string>
#include <vector>

#include "models/model_options.h"
#include "nn/vit_block.h"

namespace vicha {

class Vit {
 public:
  /// Registers its parameters under `prefix` ("visual_encoder.").
  Vit(ParameterStore& store, const std::string& prefix, const VitOptions& options);

  /// Unfolded pixels (B * N, 3 p p) -> patch tokens with their positions (B, N, D).
  at::Tensor embed(const at::Tensor& pixels, std::int64_t batch) const;

  /// Class token with its position, patches, then concepts (B, K, D; may be undefined): (B, S, D).
  at::Tensor assemble(const at::Tensor& patches_BND, const at::Tensor& concepts_BKD) const;
  /// The visible patches of MAE behind a class token *without* its position (as the released weights were trained).
  at::Tensor assemble_visible(const at::Tensor& patches_BVD) const;

  struct Output {
    at::Tensor states;                    ///< (T, D), after the final norm
    std::vector<at::Tensor> hidden_rows;  ///< for each block from `hidden_from` on: final norm of the rows asked for
  };
  /// All blocks over packed tokens (T, D). `rows` (R) are the rows whose hidden states are wanted, from block
  /// `hidden_from` (0-based) on; undefined: none.
  Output run(const at::Tensor& tokens_TD, const SegmentsPtr& segments, const at::Tensor& rows,
             std::int64_t hidden_from) const;

  const VitOptions& options() const { return options_; }

 private:
  VitOptions options_;
  at::Tensor cls_token_, pos_embed_;
  Linear patch_embed_;  ///< weight is stored (D, 3, p, p)
  std::vector<VitBlock> blocks_;
  LayerNorm norm_;
};

}  // namespace vicha
