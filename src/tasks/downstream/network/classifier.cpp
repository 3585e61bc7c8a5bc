#include "tasks/downstream/network/classifier.h"

#include <ATen/ATen.h>

#include "nn/vit_block.h"

namespace vicha {

ClassifierHead::ClassifierHead(ParameterStore& store, const std::string& prefix, std::int64_t input, std::int64_t width,
                               std::int64_t classes)
    : hidden(add_linear(store, prefix + "0.", input, width, Init::kLinearDefault)),
      output(add_linear(store, prefix + "2.", width, classes, Init::kLinearDefault)) {}

at::Tensor ClassifierHead::operator()(const at::Tensor& fused_nI) const { return output(hidden(fused_nI).relu()); }

Twins<ClassifierHead> add_classifier(ParameterStore& store, const std::string& name, std::int64_t width,
                                     std::int64_t classes, std::int64_t texts) {
  const ParameterStore::Scope heads(store, "heads"), fusion_heads(store, "fusion_heads"), scope(store, name);
  return store.add_twins([&](const std::string& suffix) {
    return ClassifierHead(store, name + suffix + ".", texts * width, width, classes);
  });
}

at::Tensor distilled_cross_entropy(const at::Tensor& logits_nC, const at::Tensor& labels_n,
                                   const at::Tensor& momentum_nC, double alpha) {
  const at::Tensor logits = logits_nC.to(at::kFloat);
  const at::Tensor hard = at::cross_entropy_loss(logits, labels_n);
  if (!momentum_nC.defined() || alpha == 0.0) return hard;
  const at::Tensor targets = momentum_nC.detach().to(at::kFloat).softmax(1);
  const at::Tensor soft = -(logits.log_softmax(1) * targets).sum(1).mean();
  return hard * (1.0 - alpha) + soft * alpha;
}

}  // namespace vicha
