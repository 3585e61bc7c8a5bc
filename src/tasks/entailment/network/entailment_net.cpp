#include "tasks/entailment/network/entailment_net.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace vicha {

EntailmentNet::EntailmentNet(Vicha& model, std::int64_t classes)
    : model_(model), head_(add_classifier(model.parameters(), "cls_head", model.options().text.width, classes)) {}

at::Tensor EntailmentNet::logits(const Pairs& pairs, const Dropout& dropout) const {
  const PairStates states = encode_pairs(model_.online(), pairs.pictures, pairs.concepts,
                                         PackedText::packed(pairs.texts, model_.device()), FusedRows::kCls, dropout);
  return head_.online(states.fused);
}

EntailmentNet::Step EntailmentNet::step(const Pairs& pairs, const at::Tensor& labels_B, double alpha,
                                        const Dropout& dropout) const {
  Step step;
  step.logits = logits(pairs, dropout);
  if (alpha > 0) {
    const at::NoGradGuard guard;
    const PairStates states = encode_pairs(model_.momentum(), pairs.pictures, pairs.concepts,
                                           PackedText::packed(pairs.texts, model_.device()), FusedRows::kCls, dropout);
    step.momentum_logits = head_.momentum(states.fused);
  }
  step.loss = distilled_cross_entropy(step.logits, labels_B, step.momentum_logits, alpha);
  return step;
}

}  // namespace vicha
