// The image encoder: ViT with concept tokens (method, section 2), over patches of pixels or over features of patches.
// B images, N patches, P numbers of a patch, K concept tokens, S = 1 + N + K tokens of an image, D width.
#pragma once

#include <string>
#include <vector>

#include "models/model_options.h"
#include "nn/vit_block.h"

namespace vicha {

/// What `Vit::embed` takes of a batch's pictures: pixels (B, 3, R, R) unfolded (nn/position.h), features (B, N, P) as
/// they are -> (B * N, P).
at::Tensor patch_rows(const at::Tensor& pictures, const VitOptions& options);

class Vit {
 public:
  /// Registers its parameters under `prefix` ("visual_encoder."). Throws UsageError if it is to read features of which
  /// the options do not say how many there are.
  Vit(ParameterStore& store, const std::string& prefix, const VitOptions& options);

  /// patch_rows -> patch tokens with their positions (B, N, D).
  at::Tensor embed(const at::Tensor& patches, std::int64_t batch) const;

  /// The same of small pictures (C, 3, r, r), r divisible by the patch, with positions interpolated to their grid.
  at::Tensor embed_crops(const at::Tensor& crops) const;

  /// Class token with its position, patches, then concepts (B, K, D; may be undefined): (B, S, D). Without blocks no
  /// token sees another: the patches' mean is added to the class token.
  at::Tensor assemble(const at::Tensor& patches_BND, const at::Tensor& concepts_BKD) const;
  /// The visible patches of MAE behind a class token *without* its position (as the released weights were trained).
  at::Tensor assemble_visible(const at::Tensor& patches_BVD) const;
  /// Patches (B, N, D) with those of `hidden_BN` (bool) replaced by a learned token (1, 1, D) at their places.
  at::Tensor hide(const at::Tensor& patches_BND, const at::Tensor& hidden_BN, const at::Tensor& token_11D) const;

  struct Output {
    at::Tensor states;                    ///< (T, D), after the final norm
    std::vector<at::Tensor> hidden_rows;  ///< for each block from `hidden_from` on: final norm of the rows asked for
  };
  /// All blocks over packed tokens (T, D). `rows` (R) are the rows whose hidden states are wanted, from block
  /// `hidden_from` (0-based) on; undefined: none. With `watch` the states have gradient from its block on alone.
  Output run(const at::Tensor& tokens_TD, const SegmentsPtr& segments, const at::Tensor& rows, std::int64_t hidden_from,
             AttentionWatch* watch = nullptr) const;

  const VitOptions& options() const { return options_; }

 private:
  /// The class tokens as they enter, given the patches beside them.
  at::Tensor class_tokens(const at::Tensor& cls_11D, const at::Tensor& patches_BND) const;

  VitOptions options_;
  at::Tensor cls_token_, pos_embed_;
  Linear embed_;  ///< weight is stored (D, 3, p, p), or (D, P) of features
  std::vector<VitBlock> blocks_;
  LayerNorm norm_;
};

}  // namespace vicha
