#include "objectives/mae_decoder.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "nn/position.h"

namespace vicha {
namespace {

constexpr double kBlockEps = 1e-6, kLastEps = 1e-5;

/// Tokens `index` (B, P) of x (B, N, D).
at::Tensor gather_tokens(const at::Tensor& x, const at::Tensor& index) {
  return x.gather(1, index.unsqueeze(-1).expand({-1, -1, x.size(2)}));
}

}  // namespace

MaeDecoder::MaeDecoder(ParameterStore& store, const VitOptions& vit, const MaeDecoderOptions& options,
                       MaeVariant variant)
    : variant_(variant) {
  const std::int64_t numbers = vit.patch_numbers();
  const bool decoder = variant != MaeVariant::kCrossModal;
  const std::int64_t width = decoder ? options.width : vit.width;
  mask_token_ = store.add("mask_token", {1, 1, width}, Init::kZeros);
  if (decoder) {
    embed_ = add_linear(store, "decoder_embed.", vit.width, width, Init::kLinearDefault);
    positions_ = store.add_table("decoder_pos_embed", sincos_positions(width, vit.rows(), vit.columns()));
    for (std::int64_t i = 0; i < options.depth; ++i) {
      blocks_.emplace_back(store, "decoder_blocks." + std::to_string(i) + ".", width, options.heads, kBlockEps);
    }
    norm_ = add_layer_norm(store, "decoder_norm.", width, kLastEps);
  }
  proj_ = add_linear(store, "mae_proj.", variant == MaeVariant::kUnimodal ? width : vit.width, numbers,
                     Init::kLinearDefault);
  if (variant == MaeVariant::kUniCrossModal) {
    if (width != vit.width) {
      throw UsageError(
          "mae.variant = \"uni_cross_modal\" shares one mask token between decoder and fusion layers, which needs "
          "mae.decoder.width equal to model.vit.width");
    }
    proj_uni_ = add_linear(store, "mae_proj_uni.", width, numbers, Init::kLinearDefault);
  }
}

at::Tensor MaeDecoder::restored(const at::Tensor& visible, const at::Tensor& order) const {
  const std::int64_t batch = visible.size(0), count = order.size(1), width = visible.size(2);
  const at::Tensor masks = mask_token_.to(visible.scalar_type()).expand({batch, count + 1 - visible.size(1), width});
  const at::Tensor patches =
      gather_tokens(at::cat({visible.slice(1, 1), masks}, 1), order.argsort(/*stable=*/false, /*dim=*/1));
  return at::cat({visible.slice(1, 0, 1), patches}, 1);
}

ResidualNorm MaeDecoder::before_last_block(const at::Tensor& latent, const at::Tensor& order,
                                           const SegmentsPtr& segments) const {
  const at::Tensor tokens = restored(embed_(latent).to(at::kFloat), order) + positions_;
  const at::Tensor flat = tokens.view({-1, tokens.size(2)});
  ResidualNorm x{flat, blocks_.front().norm1(flat)};
  for (std::size_t i = 0; i + 1 < blocks_.size(); ++i) x = blocks_[i](x.sum, x.out, segments, blocks_[i + 1].norm1);
  return x;
}

at::Tensor MaeDecoder::unimodal(const at::Tensor& latent, const at::Tensor& order) const {
  const std::int64_t batch = order.size(0), count = order.size(1), visible = latent.size(1) - 1,
                     hidden = count - visible;
  const SegmentsPtr segments = Segments::uniform(batch, count + 1);
  const ResidualNorm x = before_last_block(latent, order, segments);
  // Only hidden patches are predicted: only their rows are queries in the last block.
  const at::Tensor first = (at::arange(batch, order.options()) * (count + 1) + 1).unsqueeze(1);
  const at::Tensor rows = (order.slice(1, visible) + first).reshape({-1});
  const std::vector<std::int64_t> lengths(static_cast<std::size_t>(batch), hidden);
  std::vector<std::int64_t> block(static_cast<std::size_t>(batch));
  for (std::int64_t i = 0; i < batch; ++i) block[static_cast<std::size_t>(i)] = i;
  const SegmentsPtr some = Segments::cross(lengths, block, batch, count + 1);
  const at::Tensor states = blocks_.back().at_rows(x.sum, x.out, rows, some, norm_).out;
  return (variant_ == MaeVariant::kUniCrossModal ? proj_uni_ : proj_)(states).to(at::kFloat);
}

MaeDecoder::Trace MaeDecoder::trace(const at::Tensor& latent, const at::Tensor& order) const {
  VICHA_ASSERT(variant_ != MaeVariant::kCrossModal);
  const std::int64_t batch = order.size(0), tokens = order.size(1) + 1;
  const SegmentsPtr segments = Segments::uniform(batch, tokens);
  const ResidualNorm x = before_last_block(latent, order, segments);
  const ResidualNorm last = blocks_.back()(x.sum, x.out, segments, norm_);
  return {embed_(latent), last.out.view({batch, tokens, -1}),
          (variant_ == MaeVariant::kUniCrossModal ? proj_uni_ : proj_)(last.out).view({batch, tokens, -1})};
}

at::Tensor MaeDecoder::cross_modal_stream(const at::Tensor& latent, const at::Tensor& order) const {
  return restored(latent, order);
}

at::Tensor MaeDecoder::cross_modal_head(const at::Tensor& fused) const { return proj_(fused).to(at::kFloat); }

at::Tensor normalised_patches(const at::Tensor& patches_BNP) {
  const auto [variance, mean] = at::var_mean(patches_BNP, at::OptionalIntArrayRef({-1}), c10::Scalar(1), true);
  return (patches_BNP - mean) / (variance + 1e-6).sqrt();
}

at::Tensor mae_target(const at::Tensor& image, std::int64_t patch) {
  const std::int64_t batch = image.size(0), rows = image.size(2) / patch, columns = image.size(3) / patch;
  return normalised_patches(image.view({batch, 3, rows, patch, columns, patch})
                                .permute({0, 2, 4, 3, 5, 1})
                                .reshape({batch, rows * columns, patch * patch * 3}));
}

at::Tensor mae_target(const at::Tensor& pictures, const VitOptions& vit) {
  return vit.reads_features() ? normalised_patches(pictures) : mae_target(pictures, vit.patch);
}

}  // namespace vicha
