#include "tasks/nlvr2/network/picture_pairs.h"

#include <ATen/ATen.h>

#include <numeric>

#include "base/error.h"

namespace vicha {

at::Tensor fuse_statements(const Encoders& encoders, const TextStates& texts, const std::vector<at::Tensor>& kv,
                           const FusedImages& images, const std::vector<std::int64_t>& first,
                           const std::vector<std::int64_t>& second, const Dropout& dropout) {
  const auto count = static_cast<std::size_t>(texts.pack.size());
  VICHA_ASSERT(first.size() == count && second.size() == count);
  FusionPlan plan;
  for (std::size_t i = 0; i < count; ++i) {
    plan.sequences.push_back(FusionPlan::sequence(texts.pack, static_cast<std::int64_t>(i), 0,
                                                  std::vector{first[i], second[i]}, /*read=*/{0}));
  }
  return fuse(encoders.text, texts.states, kv, plan, images, dropout);
}

at::Tensor encode_statements(const Encoders& encoders, const StatementInput& input, const Dropout& dropout) {
  FusedImages images;
  std::vector<at::Tensor> states;
  for (const StatementInput::Side& side : input.sides) {
    const at::Tensor patches = patch_rows(side.pictures, encoders.vit.options());
    const ImageStates encoded = encoders.encode_image({patches, side.pictures.size(0), side.concepts}, dropout);
    images.add(encoded);
    states.push_back(encoded.fusion_rows());
  }
  const at::Device device = input.sides.front().pictures.device();
  const TextStates texts = encoders.encode_text(PackedText::packed(input.texts, device), dropout);
  std::vector<std::int64_t> first(static_cast<std::size_t>(texts.pack.size()));
  std::iota(first.begin(), first.end(), 0);
  std::vector<std::int64_t> second = first;
  for (std::int64_t& image : second) image += texts.pack.size();
  return fuse_statements(encoders, texts, encoders.text.image_kv(at::cat(states)), images, first, second, dropout);
}

}  // namespace vicha
