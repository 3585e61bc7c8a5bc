#include "objectives/mtm.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "models/regions.h"
#include "nn/vit_block.h"
#include "objectives/masked_pass.h"

namespace vicha {

void MtmOptions::check(const ModelOptions& model) const { require_hidden_regions(model, "mtm"); }

at::Tensor mtm_loss(const at::Tensor& logits_MV, const at::Tensor& tag_M) {
  const at::Tensor logits = logits_MV.scalar_type() == at::kDouble ? logits_MV : logits_MV.to(at::kFloat);
  if (logits.size(0) == 0) return logits.sum() * 0.0;
  const at::Tensor counts = tag_M.ge(0).to(logits.scalar_type());
  const at::Tensor own = logits.log_softmax(1).gather(1, tag_M.clamp_min(0).unsqueeze(1)).squeeze(1);
  return -(own * counts).sum() / counts.sum().clamp_min(1.0);
}

MtmObjective::MtmObjective(const MtmOptions& options, Vicha& model)
    : options_(options), mask_token_(region_mask_token(model)) {
  const std::int64_t tags = model.options().regions.tags;
  if (tags == 0) {
    throw UsageError(
        "mtm.enabled = true: nothing says which tags regions may have; give manifests with region_tags (`vicha "
        "concepts assign --regions`, `vicha data region-tags`) or a concept source (data.regions.source), or set "
        "mtm.enabled = false");
  }
  ParameterStore& store = model.parameters();
  const ParameterStore::Scope fusion_heads(store, "fusion_heads"), scope(store, "mtm_head");
  head_ = add_linear(store, "mtm_head.", model.options().text.width, tags, Init::kLinearDefault);
}

std::unique_ptr<ObjectiveStep> MtmObjective::begin(Encodings& encodings, const Distillation&) const {
  return std::make_unique<MtmStep>(*this, encodings);
}

void MtmStep::join_image(const at::Tensor& patches_BND, JoinedRows& pass) {
  encodings_.masked().join_image(patches_BND, pass, objective_.mask_token());
}

void MtmStep::join_fusion(FusionPass& pass) { encodings_.masked().join_fusion(pass); }

at::Tensor MtmStep::logits() { return objective_.head()(encodings_.masked().rows()); }

at::Tensor MtmStep::tags() {
  const Batch& batch = encodings_.batch();
  const at::Device device = encodings_.model().device();
  const at::Tensor all = batch.get<RegionTargets>().tags.to(device).view({-1});
  return all.index_select(0, row_indices(batch.get<MaskedRegions>().regions, device));
}

at::Tensor MtmStep::loss() { return mtm_loss(logits(), tags()); }

ObjectiveKind mtm_kind() {
  return {.key = "mtm",
          .title = "Masked tag modelling",
          .name = "MTM",
          .curve = "MTM: masked tags",
          .measure = "nats a tag",
          .checkpoint_names = {"mtm_head.**", "region_mask_token"},
          .options = MtmOptions(),
          .make = [](const ObjectiveOptions& options, Vicha& model) {
            return std::make_unique<MtmObjective>(dynamic_cast<const MtmOptions&>(options), model);
          }};
}

}  // namespace vicha
