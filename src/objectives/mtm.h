// Masked tag modelling (method, section 4, MTM): which tag a hidden region has, told by the rest of the picture, its
// other tags and the caption. M hidden regions, V tags of the vocabulary.
#pragma once

#include "nn/linear.h"
#include "objectives/objective.h"

namespace vicha {

struct MtmOptions : ObjectiveOptions {
  MtmOptions() { enabled = false; }
  void check(const ModelOptions& model) const override;
};

/// Cross-entropy over the vocabulary, mean over the regions that have a tag: logits (M, V), tag (M) int64, -1 for none.
/// 0 where none has.
at::Tensor mtm_loss(const at::Tensor& logits_MV, const at::Tensor& tag_M);

class MtmObjective : public Objective {
 public:
  /// Registers "mtm_head", and the mask token (objectives/masked_pass.h). Throws UsageError if nothing says how many
  /// tags there are.
  MtmObjective(const MtmOptions& options, Vicha& model);
  const ObjectiveOptions& options() const override { return options_; }
  bool trains_fusion() const override { return true; }
  std::string_view heads() const override { return "mtm_head"; }
  std::unique_ptr<ObjectiveStep> begin(Encodings& encodings, const Distillation& distillation) const override;

  const at::Tensor& mask_token() const { return mask_token_; }
  /// (M, D_text) -> (M, V).
  const Linear& head() const { return head_; }

 private:
  MtmOptions options_;
  at::Tensor mask_token_;
  Linear head_;
};

/// One step of it; its logits are public for evaluation.
class MtmStep : public ObjectiveStep {
 public:
  MtmStep(const MtmObjective& objective, Encodings& encodings) : objective_(objective), encodings_(encodings) {}

  void join_image(const at::Tensor& patches_BND, JoinedRows& pass) override;
  void join_fusion(FusionPass& pass) override;
  at::Tensor loss() override;

  /// At the hidden regions (M, V), in the order of MaskedRegions::regions.
  at::Tensor logits();
  /// Their tags (M), -1 for none.
  at::Tensor tags();

 private:
  const MtmObjective& objective_;
  Encodings& encodings_;
};

/// "mtm".
ObjectiveKind mtm_kind();

}  // namespace vicha
