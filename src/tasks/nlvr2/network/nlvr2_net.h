// Visual reasoning over two pictures: whether a statement about them is true, from the fused [CLS] (method, section
// 5.3). B statements; classes 0 (false) and 1 (true).
#pragma once

#include <ATen/core/Tensor.h>

#include "models/vicha.h"
#include "tasks/downstream/network/classifier.h"
#include "tasks/nlvr2/network/picture_pairs.h"

namespace vicha {

/// Which image encoder the teacher of distillation has.
enum class TeacherVit {
  kMomentum,  ///< the momentum copy's, as its text encoder and head
  kReleased   ///< the online one, given the momentum copy's concept tokens: what the public code trains with
};

class Nlvr2Net {
 public:
  /// Registers "cls_head." and its momentum copy in the model, which outlives this. Throws UsageError unless the model
  /// has layers that read pictures, one or two with a text.
  Nlvr2Net(Vicha& model, TeacherVit teacher);

  /// (B, 2), online.
  at::Tensor logits(const StatementInput& input, const Dropout& dropout) const;
  /// Of fused states (n, F) that are there already.
  at::Tensor logits(const at::Tensor& fused_nF) const { return head_.online(fused_nF); }

  struct Step {
    at::Tensor loss, logits, momentum_logits;  ///< the last undefined where alpha is 0
  };
  /// The loss of labels (B), on the model's device, with a share `alpha` of soft targets. The momentum model has been
  /// moved on by then (Vicha::update_momentum).
  Step step(const StatementInput& input, const at::Tensor& labels_B, double alpha, const Dropout& dropout) const;

 private:
  const Vicha& model_;
  TeacherVit teacher_;
  Twins<ClassifierHead> head_;
};

/// Throws UsageError unless the model reads two pictures with a text, or one, and has layers that do.
void require_pictures_of_statement(const ModelOptions& options);
/// Throws UsageError unless the model reads two pictures with a text, and has layers that do.
void require_two_images(const ModelOptions& options);

}  // namespace vicha
