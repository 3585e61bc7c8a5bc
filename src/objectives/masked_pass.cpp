#include "objectives/masked_pass.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "models/regions.h"

namespace vicha {

std::vector<std::int64_t> draw_masked_regions(std::int64_t batch, std::int64_t regions, double share, Rng& rng) {
  const auto wanted = std::clamp<std::int64_t>(std::llround(share * static_cast<double>(regions)), 1, regions);
  std::vector<std::int64_t> drawn, order(static_cast<std::size_t>(regions));
  for (std::int64_t i = 0; i < batch; ++i) {
    std::iota(order.begin(), order.end(), i * regions);
    for (std::int64_t k = 0; k < wanted; ++k) {
      const std::int64_t other = k + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(regions - k)));
      std::swap(order[static_cast<std::size_t>(k)], order[static_cast<std::size_t>(other)]);
    }
    std::sort(order.begin(), order.begin() + wanted);
    drawn.insert(drawn.end(), order.begin(), order.begin() + wanted);
  }
  return drawn;
}

at::Tensor hidden_patches(const std::vector<std::int64_t>& regions, std::int64_t batch,
                          const std::vector<std::vector<std::int64_t>>& touching, std::int64_t patches) {
  const auto each = static_cast<std::int64_t>(touching.size());
  at::Tensor hidden = at::zeros({batch, patches}, at::kBool);
  bool* out = hidden.data_ptr<bool>();
  for (const std::int64_t region : regions) {
    for (const std::int64_t patch : touching[static_cast<std::size_t>(region % each)]) {
      out[region / each * patches + patch] = true;
    }
  }
  return hidden;
}

void require_hidden_regions(const ModelOptions& model, std::string_view key) {
  if (!model.fusion.joint()) {
    throw UsageError(fmt::format(
        "{0}.enabled = true reads hidden regions behind the fusion layers, and with model.fusion.kind = cross no part "
        "of a picture comes out of them; set model.fusion.kind = joint, or {0}.enabled = false",
        key));
  }
  if (model.regions.crops()) {
    throw UsageError(fmt::format(
        "{0}.enabled = true hides patches of the whole picture, and with model.regions.encode = crops its regions are "
        "read from pictures of their own; set model.regions.encode = pooled, or {0}.enabled = false",
        key));
  }
}

at::Tensor region_mask_token(Vicha& model) {
  constexpr const char* kName = "region_mask_token";
  ParameterStore& store = model.parameters();
  if (store.has_parameter(kName)) return store.parameter(kName).value;
  const ParameterStore::Scope scope(store, "region_mask");
  return store.add(kName, {1, 1, model.options().vit.width}, Init::kTruncatedNormal002);
}

void MaskedPass::join_image(const at::Tensor& patches_BND, JoinedRows& pass, const at::Tensor& mask_token_11D) {
  if (in_image_) return;
  in_image_ = true;
  const auto& masked = encodings_.batch().get<MaskedRegions>();
  const Encoders& encoders = encodings_.model().online();
  const at::Device device = patches_BND.device();
  const std::int64_t count = encodings_.size();
  const at::Tensor hidden = masked.hidden.to(device, /*non_blocking=*/true);
  if (encoders.concepts && masked.concepts.defined()) {
    image_.concept_tokens = (*encoders.concepts)(masked.concepts, device, encodings_.dropout()).tokens;
  }
  const at::Tensor tokens =
      encoders.vit.assemble(encoders.vit.hide(patches_BND, hidden, mask_token_11D), image_.concept_tokens);
  image_.tokens = tokens.size(1);
  image_.real.assign(static_cast<std::size_t>(count), image_.tokens);
  if (encoders.mask_concept_padding && image_.concept_tokens.defined()) {
    for (std::size_t i = 0; i < image_.real.size(); ++i) {
      image_.real[i] += masked.concepts.lengths[i] - masked.concepts.ids.size(1);
    }
  }
  image_part_ = pass.add(tokens.view({-1, tokens.size(2)}), Segments::uniform(count, image_.tokens, image_.real));
}

void MaskedPass::join_fusion(FusionPass& pass) {
  if (in_fusion_) return;
  in_fusion_ = true;
  const Encoders& encoders = encodings_.model().online();
  image_.states = encodings_.image_rows(image_part_);
  image_.cls = image_.states.view({-1, image_.tokens, image_.states.size(1)}).select(1, 0);
  encoders.show_patches(image_, /*regions=*/true);
  const TextStates& text = encodings_.text();
  const std::int64_t first = pass.images(image_), offset = pass.source(text.states), regions = image_.regions.size(1);
  std::vector<FusionPlan::Sequence> sequences;
  for (std::int64_t i = 0; i < encodings_.size(); ++i) {
    sequences.push_back(FusionPlan::sequence(text.pack, i, offset, first + i));
  }
  for (const std::int64_t region : encodings_.batch().get<MaskedRegions>().regions) {
    sequences[static_cast<std::size_t>(region / regions)].read_image.push_back(1 + region % regions);
  }
  fusion_part_ = pass.add(std::move(sequences));
}

const at::Tensor& MaskedPass::rows() {
  if (!rows_.defined()) rows_ = encodings_.fused(fusion_part_);
  return rows_;
}

}  // namespace vicha
