#include "objectives/itc.h"

#include <ATen/ATen.h>

namespace vicha {

at::Tensor contrast_loss(const at::Tensor& sim_BC, const at::Tensor& positives_BC, const at::Tensor& soft_BC,
                         double alpha) {
  const at::Tensor logp = sim_BC.to(at::kFloat).log_softmax(1);
  at::Tensor hard;
  if (positives_BC.defined()) {
    const at::Tensor equal = positives_BC.to(at::kFloat);
    hard = -(equal / equal.sum(1, true) * logp).sum(1).mean();
  } else {
    hard = -logp.diagonal().mean();
  }
  if (alpha == 0.0) return hard;
  const at::Tensor soft = -(soft_BC.softmax(1) * logp).sum(1).mean();
  return (1.0 - alpha) * hard + alpha * soft;
}

at::Tensor itc_loss(const at::Tensor& i2t_BC, const at::Tensor& t2i_BC, const at::Tensor& positives_BC,
                    const at::Tensor& soft_i2t_BC, const at::Tensor& soft_t2i_BC, double alpha) {
  return (contrast_loss(i2t_BC, positives_BC, soft_i2t_BC, alpha) +
          contrast_loss(t2i_BC, positives_BC, soft_t2i_BC, alpha)) /
         2;
}

at::Tensor ItcObjective::loss(Encodings& encodings, const Distillation& distillation) const {
  const Encodings::Similarities& online = encodings.similarities();
  Encodings::Similarities soft;
  if (distillation.alpha > 0.0) soft = encodings.momentum_similarities();
  return itc_loss(online.i2t, online.t2i, encodings.positives(true), soft.i2t, soft.t2i, distillation.alpha);
}

}  // namespace vicha
