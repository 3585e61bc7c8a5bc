#include "objectives/mlm.h"

#include <ATen/ATen.h>

namespace vicha {

at::Tensor mlm_loss(const at::Tensor& logits_MV, const at::Tensor& labels_M, const at::Tensor& teacher_MV,
                    double alpha) {
  const at::Tensor logp = logits_MV.log_softmax(1);
  const at::Tensor hard = at::nll_loss(logp, labels_M);
  if (alpha == 0.0) return hard;
  const at::Tensor soft = -(teacher_MV.softmax(1) * logp).sum(1).mean();
  return (1.0 - alpha) * hard + alpha * soft;
}

at::Tensor MlmObjective::loss(Encodings& encodings, const Distillation& distillation) const {
  const Vicha& model = encodings.model();
  const at::Tensor rows = encodings.fused().masked_rows;
  // A batch without a masked word has nothing to say; a zero that depends on nothing keeps the total whole.
  if (!rows.defined()) return at::zeros({}, at::dtype(at::kFloat).device(model.device()));
  const at::Tensor logits = model.online.text.vocabulary_logits(rows);
  const at::Tensor teacher = distillation.alpha > 0.0 ? encodings.teacher_logits() : at::Tensor();
  return mlm_loss(logits, encodings.batch().get<MaskedWords>().labels.to(logits.device()), teacher, distillation.alpha);
}

}  // namespace vicha
