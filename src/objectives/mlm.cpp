#include "objectives/mlm.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace vicha {

at::Tensor mlm_loss(const at::Tensor& logits_MV, const at::Tensor& labels_M, const at::Tensor& teacher_MV,
                    double alpha) {
  if (labels_M.numel() == 0) return logits_MV.sum() * 0.0;
  const at::Tensor logp = logits_MV.log_softmax(1);
  const at::Tensor hard = at::nll_loss(logp, labels_M);
  if (alpha == 0.0) return hard;
  const at::Tensor soft = -(teacher_MV.softmax(1) * logp).sum(1).mean();
  return (1.0 - alpha) * hard + alpha * soft;
}

void MlmOptions::describe(Visitor& v) {
  ObjectiveOptions::describe(v);
  v.field({"probability", "", "Share of the tokens that are masked", 0, 1}, probability);
}

namespace {

MaskingOptions masking_options(const MlmOptions& options, const TextOptions& text) {
  return {options.probability, text.pad_id, text.cls_id, text.mask_id, text.vocabulary};
}

Twins<VocabularyHead> add_heads(Vicha& model) {
  const ParameterStore::Scope fusion_heads(model.parameters(), "fusion_heads"), scope(model.parameters(), "mlm_head");
  return model.parameters().add_twins([&](const std::string& suffix) {
    const Encoders& encoders = suffix.empty() ? model.online() : model.momentum();
    return VocabularyHead(model.parameters(), "text_encoder" + suffix + ".", encoders.text.embeddings());
  });
}

}  // namespace

MlmObjective::MlmObjective(const MlmOptions& options, Vicha& model)
    : options_(options), masking_(masking_options(options, model.options().text)), heads_(add_heads(model)) {}

void MlmObjective::add_targets(Batch& batch, Rng& rng) const { batch.add(mask_words(batch.text, masking_, rng)); }

std::unique_ptr<ObjectiveStep> MlmObjective::begin(Encodings& encodings, const Distillation& distillation) const {
  return std::make_unique<MlmStep>(*this, encodings, distillation.alpha);
}

const MaskedWords& MlmStep::masked() const { return encodings_.batch().get<MaskedWords>(); }

void MlmStep::join_text(TextPass& pass) {
  pack_ = encodings_.pack(Tokens{masked().ids, encodings_.batch().text.lengths});
  text_part_ = pass.add(pack_, /*momentum=*/alpha_ > 0.0);
}

/// The masked captions, each with its own image; read at the masked words.
std::vector<FusionPlan::Sequence> MlmStep::sequences(std::int64_t offset) const {
  const MaskedWords& words = masked();
  const std::int64_t longest = words.ids.size(1);
  std::vector<FusionPlan::Sequence> result;
  std::size_t next = 0;
  for (std::int64_t i = 0; i < pack_.size(); ++i) {
    FusionPlan::Sequence s = FusionPlan::sequence(pack_, i, offset, i);
    for (; next < words.positions.size() && words.positions[next] < (i + 1) * longest; ++next) {
      s.read.push_back(words.positions[next] - i * longest);
    }
    if (!s.read.empty()) result.push_back(std::move(s));
  }
  return result;
}

void MlmStep::join_fusion(FusionPass& pass) { fusion_part_ = pass.add(sequences(pass.source(text_rows()))); }

at::Tensor MlmStep::teacher_logits() {
  const at::NoGradGuard guard;
  const FusionPlan plan{sequences(0)};
  const at::Tensor& states = momentum_text_rows();
  if (plan.sequences.empty()) return at::empty({0, encodings_.model().options().text.vocabulary}, states.options());
  return objective_.momentum_head()(encodings_.momentum_fused(states, plan));
}

at::Tensor MlmStep::loss() {
  const at::Tensor rows = masked_rows();
  if (rows.size(0) == 0) return encodings_.nothing();
  const at::Tensor logits = objective_.head()(rows);
  const at::Tensor teacher = alpha_ > 0.0 ? teacher_logits() : at::Tensor();
  return mlm_loss(logits, masked().labels.to(logits.device()), teacher, alpha_);
}

ObjectiveKind mlm_kind() {
  return {.key = "mlm",
          .title = "Masked language modelling",
          .name = "MLM",
          .curve = "MLM: masked words",
          .measure = "nats a word",
          .checkpoint_names = {"text_encoder.cls.**", "text_encoder_m.cls.**"},
          .heads_always = true,
          .options = MlmOptions(),
          .make = [](const ObjectiveOptions& options, Vicha& model) {
            return std::make_unique<MlmObjective>(dynamic_cast<const MlmOptions&>(options), model);
          }};
}

}  // namespace vicha
