// Masked image modelling's decoder (method, section 3, MAE).
// B images, N patches, V visible ones, H = N - V hidden ones, D decoder width, P numbers of a patch: 3 p p samples of
// pixels, or its features.
#pragma once

#include "models/model_options.h"
#include "nn/vit_block.h"

namespace vicha {

struct MaeDecoderOptions {
  std::int64_t width = 768, heads = 16, depth = 2;

  void describe(Visitor& v) {
    v.field({"width", "channels", "Width of the MAE decoder; divisible by 4", 4, 65536}, width);
    v.field({"heads", "", "Attention heads of the MAE decoder", 1, 1024}, heads);
    v.field({"depth", "blocks", "Blocks of the MAE decoder", 1, 64}, depth);
  }
};

enum class MaeVariant { kUnimodal, kCrossModal, kUniCrossModal };

class MaeDecoder {
 public:
  /// Registers "decoder_…", "mask_token", "mae_proj" (and "mae_proj_uni" where both variants are used) as the released
  /// checkpoints name them.
  MaeDecoder(ParameterStore& store, const VitOptions& vit, const MaeDecoderOptions& options, MaeVariant variant);

  /// Predicted pixels (or features) of the hidden patches (B * H, P), in the order of `order`'s tail. `latent` (B, 1 +
  /// V, D_image): class token and visible patches; `order` (B, N): the patches, visible ones first.
  at::Tensor unimodal(const at::Tensor& latent, const at::Tensor& order) const;

  /// Every step of the decoder's plain path, for comparison with recorded tensors (not for kCrossModal, which has
  /// none).
  struct Trace {
    at::Tensor decoder_in;   ///< (B, 1 + V, D)
    at::Tensor decoder_out;  ///< (B, 1 + N, D), after the last block and the norm
    at::Tensor prediction;   ///< (B, 1 + N, P)
  };
  Trace trace(const at::Tensor& latent, const at::Tensor& order) const;

  /// Cross-modal stream: visible tokens put back in their places among mask tokens, without positions (B, 1 + N,
  /// D_image).
  at::Tensor cross_modal_stream(const at::Tensor& latent, const at::Tensor& order) const;
  /// Its head, at the hidden patches: (B * H, D_image) -> (B * H, P).
  at::Tensor cross_modal_head(const at::Tensor& fused) const;

 private:
  at::Tensor restored(const at::Tensor& visible, const at::Tensor& order) const;
  /// Stream and norm1 of it before block `last`.
  ResidualNorm before_last_block(const at::Tensor& latent, const at::Tensor& order, const SegmentsPtr& segments) const;

  MaeVariant variant_;
  Linear embed_;
  at::Tensor mask_token_, positions_;
  std::vector<VitBlock> blocks_;
  LayerNorm norm_;
  Linear proj_, proj_uni_;
};

/// Each patch's numbers by their own mean and unbiased variance (+ 1e-6).
at::Tensor normalised_patches(const at::Tensor& patches_BNP);
/// What is to be predicted, normalised: pixels in the order row, column, channel, (B, 3, R, R) -> (B, N, P).
at::Tensor mae_target(const at::Tensor& image, std::int64_t patch);
/// The same of what the encoder reads: pixels, or features (B, N, P).
at::Tensor mae_target(const at::Tensor& pictures, const VitOptions& vit);

}  // namespace vicha
