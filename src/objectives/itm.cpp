#include "objectives/itm.h"

#include <ATen/ATen.h>

namespace vicha {

at::Tensor itm_loss(const at::Tensor& logits, const std::vector<std::int64_t>& negative_image,
                    const std::vector<std::int64_t>& negative_text) {
  constexpr std::int64_t kIgnored = -100;
  std::vector<std::int64_t> labels(negative_image.size(), 1);
  for (const auto* negatives : {&negative_image, &negative_text}) {
    for (const std::int64_t index : *negatives) labels.push_back(index < 0 ? kIgnored : 0);
  }
  return at::cross_entropy_loss(logits.to(at::kFloat), at::tensor(labels, at::kLong).to(logits.device()), {},
                                at::Reduction::Mean, kIgnored);
}

at::Tensor ItmObjective::loss(Encodings& encodings, const Distillation&) const {
  const at::Tensor logits = encodings.model().itm_head(encodings.fused().pair_cls);
  return itm_loss(logits, encodings.negatives().image, encodings.negatives().text);
}

}  // namespace vicha
