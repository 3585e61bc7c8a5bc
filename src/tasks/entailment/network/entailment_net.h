// Visual entailment: whether a picture entails a sentence, contradicts it or leaves it open, from the fused [CLS]
// (method, section 5.4). B pairs, C = 3 classes.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/vicha.h"
#include "tasks/downstream/network/classifier.h"
#include "tasks/downstream/network/pairs.h"

namespace vicha {

class EntailmentNet {
 public:
  /// Registers "cls_head." and its momentum copy in the model, which outlives this.
  EntailmentNet(Vicha& model, std::int64_t classes);

  struct Pairs {
    at::Tensor pictures;  ///< as patch_rows takes them
    Tokens concepts;      ///< undefined where the model has none
    Tokens texts;
  };
  /// (B, C), online.
  at::Tensor logits(const Pairs& pairs, const Dropout& dropout) const;
  /// Of fused states (n, D) that are there already.
  at::Tensor logits(const at::Tensor& fused_nD) const { return head_.online(fused_nD); }

  struct Step {
    at::Tensor loss, logits, momentum_logits;  ///< the last undefined where alpha is 0
  };
  /// The loss of labels (B), on the model's device, with a share `alpha` of soft targets. The momentum model has been
  /// moved on by then (Vicha::update_momentum).
  Step step(const Pairs& pairs, const at::Tensor& labels_B, double alpha, const Dropout& dropout) const;

 private:
  const Vicha& model_;
  Twins<ClassifierHead> head_;
};

}  // namespace vicha
