#include "models/aligned_heads.h"

#include <ATen/ATen.h>

#include <vector>

#include "nn/host_copy.h"
#include "nn/norm.h"

namespace vicha {
namespace {

Head aligned_head(ParameterStore& store, const std::string& name, std::int64_t inputs, std::int64_t embed_dim,
                  std::int64_t blocks, std::int64_t width_factor) {
  const ParameterStore::Scope heads(store, "heads"), scope(store, "aligned_heads");
  return Head(store, name, inputs, embed_dim, {.blocks = blocks, .width_factor = width_factor, .dropout = 0.0});
}

}  // namespace

AlignedHeads::AlignedHeads(ParameterStore& store, const ModelOptions& options, const std::string& suffix)
    : normalise_text_(options.heads.normalise_text),
      image_moments_(store, "image_features" + suffix, options.vit.patch_numbers()),
      text_moments_(store, "text_features" + suffix, options.text.width),
      image_(aligned_head(store, "image_head" + suffix, options.vit.patch_numbers(), options.embed_dim,
                          options.heads.image_blocks, options.heads.image_width_factor)),
      text_(aligned_head(store, "text_head" + suffix, options.text.width, options.embed_dim, options.heads.text_blocks,
                         options.heads.text_width_factor)) {}

at::Tensor AlignedHeads::image(const at::Tensor& pooled_BP) const { return image_(image_moments_(pooled_BP)); }

at::Tensor AlignedHeads::text(const at::Tensor& states_TD, const PackedText& pack) const {
  return text(pooled_text(states_TD, pack));
}

at::Tensor AlignedHeads::text(const at::Tensor& pooled_BD) const { return text_(text_moments_(pooled_BD)); }

at::Tensor AlignedHeads::pooled_text(const at::Tensor& states_TD, const PackedText& pack) const {
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < pack.begin.size(); ++i) {
    for (std::int64_t j = 0; j < pack.lengths[i]; ++j) rows.push_back(pack.begin[i] + j);
  }
  const at::Device device = states_TD.device();
  const auto indices = [&](const std::vector<std::int64_t>& list) { return to_device(at::tensor(list), device); };
  const at::Tensor words = states_TD.index_select(0, indices(rows)).to(at::kFloat);
  const at::Tensor mean = at::segment_reduce(words, "mean", indices(pack.lengths));
  return normalise_text_ ? unit_rows(mean) : mean;
}

}  // namespace vicha
