// Masked language modelling that sees the picture, with the momentum model's answers as soft targets (method, section
// 3).
#pragma once

#include "objectives/objective.h"

namespace vicha {

struct MlmOptions : ObjectiveOptions {
  double probability = 0.15;

  void describe(Visitor& v) {
    ObjectiveOptions::describe(v);
    v.field({"probability", "", "Share of the tokens that are masked", 0, 1}, probability);
  }
};

/// (1 - alpha) * cross-entropy + alpha * soft cross-entropy with softmax(teacher), mean over the M masked words; 0 when
/// nothing is masked. logits, teacher (M, V), labels (M); the teacher is read if alpha > 0.
at::Tensor mlm_loss(const at::Tensor& logits_MV, const at::Tensor& labels_M, const at::Tensor& teacher_MV,
                    double alpha);

class MlmObjective : public Objective {
 public:
  explicit MlmObjective(const MlmOptions& options) : options_(options) {}
  std::string_view name() const override { return "mlm"; }
  const ObjectiveOptions& options() const override { return options_; }
  void want(Wants& wants, const Distillation& distillation) const override {
    wants.mlm = true;
    wants.mlm_teacher |= distillation.alpha > 0.0;
  }
  at::Tensor loss(Encodings& encodings, const Distillation& distillation) const override;

 private:
  MlmOptions options_;
};

}  // namespace vicha
