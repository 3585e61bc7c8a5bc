#include "models/vit.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <optional>

#include "base/error.h"
#include "nn/position.h"

namespace vicha {

constexpr double kVitEps = 1e-6;

at::Tensor patch_rows(const at::Tensor& pictures, const VitOptions& options) {
  return options.reads_features() ? pictures.flatten(0, 1) : unfold_patches(pictures, options.patch);
}

Vit::Vit(ParameterStore& store, const std::string& prefix, const VitOptions& options) : options_(options) {
  const std::int64_t width = options.width, numbers = options.patch_numbers();
  if (options.reads_features() && (options.patches() == 0 || numbers == 0)) {
    throw UsageError(
        "model.image.input = features: nothing says how large the map of features is; name a store "
        "(data.features.store), "
        "or give model.image.rows, model.image.columns and model.image.width");
  }
  std::optional<ParameterStore::Layer> embeddings(std::in_place, store, "image", 0);
  cls_token_ = store.add(prefix + "cls_token", {1, 1, width}, Init::kTruncatedNormal002);
  pos_embed_ = store.add(prefix + "pos_embed", {1, options.patches() + 1, width}, Init::kTruncatedNormal002);
  const std::string embed = prefix + (options.reads_features() ? "feature_embed." : "patch_embed.proj.");
  const std::vector<std::int64_t> shape = options.reads_features()
                                              ? std::vector{width, numbers}
                                              : std::vector{width, std::int64_t{3}, options.patch, options.patch};
  embed_.weight = store.add(embed + "weight", shape, Init::kTruncatedNormal002, numbers);
  embed_.bias = store.add(embed + "bias", {width}, Init::kZeros);
  embeddings.reset();
  for (std::int64_t i = 0; i < options.depth; ++i) {
    const ParameterStore::Layer layer(store, "image", i + 1);
    blocks_.emplace_back(store, prefix + "blocks." + std::to_string(i) + ".", width, options.heads, kVitEps);
  }
  const ParameterStore::Layer last(store, "image", options.depth);
  norm_ = add_layer_norm(store, prefix + "norm.", width, kVitEps);
}

at::Tensor Vit::embed(const at::Tensor& patches, std::int64_t batch) const {
  const Linear flat{embed_.weight.flatten(1), embed_.bias};
  return flat(patches).view({batch, options_.patches(), options_.width}) + pos_embed_.slice(1, 1);
}

at::Tensor Vit::embed_crops(const at::Tensor& crops) const {
  VICHA_ASSERT(!options_.reads_features());
  const PatchGrid own{options_.rows(), options_.columns()};
  const PatchGrid grid{crops.size(2) / options_.patch, crops.size(3) / options_.patch};
  const Linear flat{embed_.weight.flatten(1), embed_.bias};
  return flat(unfold_patches(crops, options_.patch)).view({crops.size(0), grid.patches(), options_.width}) +
         resize_positions(pos_embed_, own, grid).slice(1, 1);
}

at::Tensor Vit::class_tokens(const at::Tensor& cls_11D, const at::Tensor& patches_BND) const {
  if (blocks_.empty() && patches_BND.size(1) > 0) return cls_11D + patches_BND.mean(1, /*keepdim=*/true);
  return cls_11D.expand({patches_BND.size(0), 1, options_.width});
}

at::Tensor Vit::assemble(const at::Tensor& patches_BND, const at::Tensor& concepts_BKD) const {
  std::vector<at::Tensor> parts = {class_tokens(cls_token_ + pos_embed_.slice(1, 0, 1), patches_BND), patches_BND};
  if (concepts_BKD.defined()) parts.push_back(concepts_BKD.to(at::kFloat));
  return at::cat(parts, 1);
}

at::Tensor Vit::assemble_visible(const at::Tensor& patches_BVD) const {
  return at::cat({class_tokens(cls_token_, patches_BVD), patches_BVD}, 1);
}

at::Tensor Vit::hide(const at::Tensor& patches_BND, const at::Tensor& hidden_BN, const at::Tensor& token_11D) const {
  return at::where(hidden_BN.unsqueeze(2), token_11D + pos_embed_.slice(1, 1), patches_BND);
}

Vit::Output Vit::run(const at::Tensor& tokens_TD, const SegmentsPtr& segments, const at::Tensor& rows,
                     std::int64_t hidden_from, AttentionWatch* watch) const {
  const at::AutoGradMode mode(watch == nullptr && at::GradMode::is_enabled());
  Output output;
  ResidualNorm x{tokens_TD, (blocks_.empty() ? norm_ : blocks_.front().norm1)(tokens_TD)};
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const bool last = i + 1 == blocks_.size();
    AttentionWatch* own = watch != nullptr && watch->layer() == static_cast<std::int64_t>(i) ? watch : nullptr;
    if (own != nullptr) at::GradMode::set_enabled(true);
    x = blocks_[i](x.sum, x.out, segments, last ? norm_ : blocks_[i + 1].norm1, own);
    if (rows.defined() && static_cast<std::int64_t>(i) >= hidden_from) {
      // Norm of a few rows only: the whole state's norm is not needed between blocks.
      output.hidden_rows.push_back(last ? x.out.index_select(0, rows) : norm_(x.sum.index_select(0, rows)));
    }
  }
  output.states = x.out;
  return output;
}

}  // namespace vicha
