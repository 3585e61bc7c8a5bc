// Masked language modelling that sees the image, with the momentum model's answers as soft targets (method, section
// 3).
#pragma once

#include "models/vocabulary_head.h"
#include "objectives/masking.h"
#include "objectives/objective.h"

namespace vicha {

struct MlmOptions : ObjectiveOptions {
  double probability = 0.15;

  void describe(Visitor& v);
};

/// (1 - alpha) * cross-entropy + alpha * soft cross-entropy with softmax(teacher), mean over the M masked words; 0 when
/// nothing is masked. logits, teacher (M, V), labels (M); the teacher is read if alpha > 0.
at::Tensor mlm_loss(const at::Tensor& logits_MV, const at::Tensor& labels_M, const at::Tensor& teacher_MV,
                    double alpha);

class MlmObjective : public Objective {
 public:
  /// Registers "text_encoder.cls.predictions" and its momentum copy.
  MlmObjective(const MlmOptions& options, Vicha& model);
  const ObjectiveOptions& options() const override { return options_; }
  bool trains_fusion() const override { return true; }
  std::string_view heads() const override { return "mlm_head"; }
  bool has_targets() const override { return true; }
  void add_targets(Batch& batch, Rng& rng) const override;
  std::unique_ptr<ObjectiveStep> begin(Encodings& encodings, const Distillation& distillation) const override;

  const VocabularyHead& head() const { return heads_.online; }
  const VocabularyHead& momentum_head() const { return heads_.momentum; }

 private:
  MlmOptions options_;
  MaskingOptions masking_;
  Twins<VocabularyHead> heads_;
};

/// One step of it; its parts are public for the parity runner.
class MlmStep : public ObjectiveStep {
 public:
  MlmStep(const MlmObjective& objective, Encodings& encodings, double alpha)
      : objective_(objective), encodings_(encodings), alpha_(alpha) {}

  void join_text(TextPass& pass) override;
  void join_fusion(FusionPass& pass) override;
  at::Tensor loss() override;

  /// The masked captions.
  const PackedText& pack() const { return pack_; }
  const at::Tensor& text_rows() { return encodings_.text_rows(text_part_); }
  const at::Tensor& momentum_text_rows() { return encodings_.momentum_text_rows(text_part_); }
  /// Fused states at the masked words (M, D_text).
  at::Tensor masked_rows() { return encodings_.fused(fusion_part_); }
  /// The momentum model's vocabulary logits there (M, V), without gradient.
  at::Tensor teacher_logits();

 private:
  const MaskedWords& masked() const;
  std::vector<FusionPlan::Sequence> sequences(std::int64_t offset) const;

  const MlmObjective& objective_;
  Encodings& encodings_;
  double alpha_;
  PackedText pack_;
  TextPass::Part text_part_ = 0;
  FusionPass::Part fusion_part_ = 0;
};

/// "mlm". Its head exists in every model, as released checkpoints hold it.
ObjectiveKind mlm_kind();

}  // namespace vicha
