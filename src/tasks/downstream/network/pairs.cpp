#include "tasks/downstream/network/pairs.h"

#include <ATen/ATen.h>

#include <numeric>

#include "base/error.h"

namespace vicha {

at::Tensor fuse_texts(const Encoders& encoders, const TextStates& texts, const std::vector<at::Tensor>& kv,
                      const FusedImages& images, const std::vector<std::int64_t>& image_of, FusedRows rows,
                      const Dropout& dropout, AttentionWatch* watch) {
  VICHA_ASSERT(static_cast<std::int64_t>(image_of.size()) == texts.pack.size());
  FusionPlan plan;
  for (std::int64_t i = 0; i < texts.pack.size(); ++i) {
    std::vector<std::int64_t> read{0};
    if (rows == FusedRows::kAll) {
      read.resize(static_cast<std::size_t>(texts.pack.lengths[static_cast<std::size_t>(i)]));
      std::iota(read.begin(), read.end(), 0);
    }
    plan.sequences.push_back(
        FusionPlan::sequence(texts.pack, i, 0, image_of[static_cast<std::size_t>(i)], std::move(read)));
  }
  return fuse(encoders.text, texts.states, kv, plan, images, dropout, /*all_rows=*/nullptr, watch);
}

PairStates encode_pairs(const Encoders& encoders, const at::Tensor& pictures, const Tokens& concepts, PackedText texts,
                        FusedRows rows, const Dropout& dropout) {
  PairStates states;
  states.image =
      encoders.encode_image({patch_rows(pictures, encoders.vit.options()), pictures.size(0), concepts}, dropout);
  states.text = encoders.encode_text(std::move(texts), dropout);
  std::vector<std::int64_t> image_of(static_cast<std::size_t>(states.text.pack.size()));
  std::iota(image_of.begin(), image_of.end(), 0);
  states.fused = fuse_texts(encoders, states.text, encoders.text.image_kv(states.image.fusion_rows()),
                            FusedImages(states.image), image_of, rows, dropout);
  states.lengths = rows == FusedRows::kAll ? states.text.pack.lengths : std::vector<std::int64_t>(image_of.size(), 1);
  return states;
}

}  // namespace vicha
