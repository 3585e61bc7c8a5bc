#include "models/vit.h"

#include <ATen/ATen.h>

#include <optional>

#include "nn/position.h"

namespace vicha {

constexpr double kVitEps = 1e-6;

Vit::Vit(ParameterStore& store, const std::string& prefix, const VitOptions& options) : options_(options) {
  const std::int64_t width = options.width, pixels = 3 * options.patch * options.patch;
  std::optional<ParameterStore::Layer> embeddings(std::in_place, store, "image", 0);
  cls_token_ = store.add(prefix + "cls_token", {1, 1, width}, Init::kTruncatedNormal002);
  pos_embed_ = store.add(prefix + "pos_embed", {1, options.patches() + 1, width}, Init::kTruncatedNormal002);
  patch_embed_.weight = store.add(prefix + "patch_embed.proj.weight", {width, 3, options.patch, options.patch},
                                  Init::kTruncatedNormal002, pixels);
  patch_embed_.bias = store.add(prefix + "patch_embed.proj.bias", {width}, Init::kZeros);
  embeddings.reset();
  for (std::int64_t i = 0; i < options.depth; ++i) {
    const ParameterStore::Layer layer(store, "image", i + 1);
    blocks_.emplace_back(store, prefix + "blocks." + std::to_string(i) + ".", width, options.heads, kVitEps);
  }
  const ParameterStore::Layer last(store, "image", options.depth);
  norm_ = add_layer_norm(store, prefix + "norm.", width, kVitEps);
}

at::Tensor Vit::embed(const at::Tensor& pixels, std::int64_t batch) const {
  const Linear flat{patch_embed_.weight.flatten(1), patch_embed_.bias};
  return flat(pixels).view({batch, options_.patches(), options_.width}) + pos_embed_.slice(1, 1);
}

at::Tensor Vit::assemble(const at::Tensor& patches_BND, const at::Tensor& concepts_BKD) const {
  const at::Tensor cls = (cls_token_ + pos_embed_.slice(1, 0, 1)).expand({patches_BND.size(0), 1, options_.width});
  std::vector<at::Tensor> parts = {cls, patches_BND};
  if (concepts_BKD.defined()) parts.push_back(concepts_BKD.to(at::kFloat));
  return at::cat(parts, 1);
}

at::Tensor Vit::assemble_visible(const at::Tensor& patches_BVD) const {
  return at::cat({cls_token_.expand({patches_BVD.size(0), 1, options_.width}), patches_BVD}, 1);
}

Vit::Output Vit::run(const at::Tensor& tokens_TD, const SegmentsPtr& segments, const at::Tensor& rows,
                     std::int64_t hidden_from) const {
  Output output;
  ResidualNorm x{tokens_TD, blocks_.front().norm1(tokens_TD)};
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const bool last = i + 1 == blocks_.size();
    x = blocks_[i](x.sum, x.out, segments, last ? norm_ : blocks_[i + 1].norm1);
    if (rows.defined() && static_cast<std::int64_t>(i) >= hidden_from) {
      // Norm of a few rows only: the whole state's norm is not needed between blocks.
      output.hidden_rows.push_back(last ? x.out.index_select(0, rows) : norm_(x.sum.index_select(0, rows)));
    }
  }
  output.states = x.out;
  return output;
}

}  // namespace vicha
