#include "objectives/ita.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "nn/norm.h"
#include "nn/vit_block.h"

namespace vicha {

void ItaOptions::describe(Visitor& v) {
  AlignmentOptions::describe(v);
  v.choice({"level", "",
            "Which tokens are aligned: unimodal, those of the two encoders; multimodal, those of the joint fusion "
            "layers, which have seen their partner already (the older summary's, a task that needs no understanding)"},
           level, {{"unimodal", ItaLevel::kUnimodal}, {"multimodal", ItaLevel::kMultimodal}});
}

void ItaOptions::check(const ModelOptions& model) const {
  if (level == ItaLevel::kMultimodal && !model.fusion.joint()) {
    throw UsageError(
        "ita.level = multimodal aligns the class token behind the fusion layers, and with model.fusion.kind = cross "
        "they have no such token: pictures are only read there; set model.fusion.kind = joint, or ita.level = "
        "unimodal");
  }
}

std::string ItaOptions::note() const {
  const std::string form = AlignmentOptions::note();
  if (level == ItaLevel::kUnimodal) return form;
  return form.empty() ? "multimodal" : form + ", multimodal";
}

namespace {

class ItaObjective : public Objective {
 public:
  ItaObjective(const ItaOptions& options, Vicha& model) : options_(options), align_(options, model.temperature()) {
    if (options.level == ItaLevel::kUnimodal) return;
    ParameterStore& store = model.parameters();
    const ParameterStore::Scope fusion_heads(store, "fusion_heads"), scope(store, "ita_heads");
    const std::int64_t width = model.options().text.width, embed = model.options().embed_dim;
    image_ = add_linear(store, "ita_image_proj.", width, embed, Init::kLinearDefault);
    text_ = add_linear(store, "ita_text_proj.", width, embed, Init::kLinearDefault);
  }
  const ObjectiveOptions& options() const override { return options_; }
  bool trains_fusion() const override { return options_.level == ItaLevel::kMultimodal; }
  std::string_view heads() const override { return trains_fusion() ? "ita_heads" : ""; }
  std::unique_ptr<ObjectiveStep> begin(Encodings& encodings, const Distillation& distillation) const override;

  const Alignment& align() const { return align_; }
  /// Of fused class tokens and [CLS], (B, D_text) -> rows of length 1 (B, E); only where the level is multimodal.
  at::Tensor fused_image(const at::Tensor& cls_BD) const { return unit_rows((*image_)(cls_BD)); }
  at::Tensor fused_text(const at::Tensor& cls_BD) const { return unit_rows((*text_)(cls_BD)); }

 private:
  ItaOptions options_;
  Alignment align_;
  std::optional<Linear> image_, text_;
};

class ItaStep : public ObjectiveStep {
 public:
  ItaStep(const ItaObjective& objective, Encodings& encodings) : objective_(objective), encodings_(encodings) {}

  void join_fusion(FusionPass& pass) override {
    if (!objective_.trains_fusion()) return;
    const TextStates& text = encodings_.text();
    const std::int64_t offset = pass.source(text.states);
    std::vector<FusionPlan::Sequence> sequences;
    for (std::int64_t i = 0; i < encodings_.size(); ++i) {
      sequences.push_back(FusionPlan::sequence(text.pack, i, offset, i, {0}));
      sequences.back().read_image = {0};
    }
    part_ = pass.add(std::move(sequences));
  }

  at::Tensor loss() override {
    at::Tensor image, text;
    if (objective_.trains_fusion()) {
      const at::Tensor fused = encodings_.fused(part_).view({encodings_.size(), 2, -1});  // [CLS], class token
      text = objective_.fused_text(fused.select(1, 0));
      image = objective_.fused_image(fused.select(1, 1));
    } else {
      const Encodings::Features& features = encodings_.features();
      image = features.image;
      text = features.text;
    }
    return objective_.align()(at::mm(image, text.t()), encodings_.positives(false));
  }

 private:
  const ItaObjective& objective_;
  Encodings& encodings_;
  FusionPass::Part part_ = 0;
};

std::unique_ptr<ObjectiveStep> ItaObjective::begin(Encodings& encodings, const Distillation&) const {
  return std::make_unique<ItaStep>(*this, encodings);
}

}  // namespace

ObjectiveKind ita_kind() {
  return {.key = "ita",
          .title = "Alignment of pictures and captions",
          .name = "ITA",
          .curve = "ITA: alignment of pictures and captions",
          .measure = "nats",
          .checkpoint_names = {"ita_image_proj.**", "ita_text_proj.**"},
          .options = ItaOptions(),
          .make = [](const ObjectiveOptions& options, Vicha& model) {
            return std::make_unique<ItaObjective>(dynamic_cast<const ItaOptions&>(options), model);
          }};
}

}  // namespace vicha
