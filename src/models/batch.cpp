#include "models/batch.h"

namespace vicha {

void Batch::for_each_tensor(const TensorVisit& visit) {
  const TensorVisit if_defined = [&](at::Tensor& tensor) {
    if (tensor.defined()) visit(tensor);
  };
  for (at::Tensor* tensor : {&image, &text.ids, &concepts.ids, &image_ids, &caption_ids}) if_defined(*tensor);
  for (const auto& targets : targets_) targets->for_each_tensor(if_defined);
}

Batch Batch::to(const at::Device& device, bool non_blocking) && {
  const at::Tensor texts = text.ids, words = concepts.ids;
  for_each_tensor([&](at::Tensor& tensor) {
    const bool is_tokens = tensor.is_same(texts) || tensor.is_same(words);
    if (!is_tokens) tensor = tensor.to(device, non_blocking);
  });
  return std::move(*this);
}

Batch Batch::pin_memory() && {
  for_each_tensor([](at::Tensor& tensor) { tensor = tensor.pin_memory(); });
  return std::move(*this);
}

}  // namespace vicha
