#include "objectives/pretrain_step.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "objectives/itc.h"
#include "objectives/itm.h"

namespace vicha {

double DistillationOptions::at(std::int64_t epoch, std::int64_t step, std::int64_t steps_per_epoch) const {
  if (!enabled) return 0.0;
  if (!ramp || epoch > 0) return alpha;
  return alpha *
         std::min(1.0, static_cast<double>(step) / static_cast<double>(std::max<std::int64_t>(1, steps_per_epoch)));
}

void ObjectivesOptions::shape_model(ModelOptions& model) const {
  model.hierarchical_levels = hitc.enabled ? hitc.levels : 0;
  model.mae = mae.kind();
  model.queue_ids = itc.enabled && itc.positives != Positives::kIndex;
}

Vicha::Starts ObjectivesOptions::starts() const {
  const auto start = [](const ObjectiveOptions& o) { return o.enabled ? o.start : 1.0; };
  const bool fused = mae.enabled && mae.kind() != MaeVariant::kUnimodal;
  return {.fusion = std::min({start(itm), start(mlm), fused ? mae.start : 1.0}),
          .itm_head = start(itm),
          .mlm_head = start(mlm),
          .mae_decoder = start(mae)};
}

PretrainStep::PretrainStep(const ObjectivesOptions& options) : options_(options) {
  // The order of the method's step; the total is summed in it.
  if (options.itc.enabled) objectives_.push_back(std::make_unique<ItcObjective>(options.itc));
  if (options.hitc.enabled) objectives_.push_back(std::make_unique<HitcObjective>(options.hitc));
  if (options.itm.enabled) objectives_.push_back(std::make_unique<ItmObjective>(options.itm));
  if (options.mlm.enabled) objectives_.push_back(std::make_unique<MlmObjective>(options.mlm));
  if (options.mae.enabled) objectives_.push_back(std::make_unique<MaeObjective>(options.mae));
  const bool first =
      std::any_of(objectives_.begin(), objectives_.end(), [](const auto& o) { return o->options().start == 0.0; });
  if (!first)
    throw UsageError("no objective is active at the start: enable one of itc, hitc, itm, mlm, mae with start = 0");
}

Encodings PretrainStep::encodings(Vicha& model, const Batch& batch, Draws& draws, double progress, double alpha,
                                  TextCache* cache, bool plain) const {
  Wants wants;
  for (const auto& objective : objectives_) {
    if (active(*objective, progress)) objective->want(wants, {alpha});
  }
  EncodingOptions how;
  how.mask_ratio = options_.mae.mask_ratio;
  how.positives = options_.itc.positives;
  how.packed_text = how.read_rows_only = !plain;
  return Encodings(model, batch, draws, wants, how, cache);
}

PretrainStep::Result PretrainStep::losses(Encodings& encodings, double progress, double alpha) const {
  if (options_.clamp_temperature) encodings.model().clamp_temperature();
  Result result;
  for (const auto& objective : objectives_) {
    if (!active(*objective, progress)) continue;
    const at::Tensor loss = objective->loss(encodings, {alpha});
    result.terms.emplace_back(objective->name(), loss);
    const double weight = objective->options().weight;
    const at::Tensor term = weight == 1.0 ? loss : loss * weight;
    result.total = result.total.defined() ? result.total + term : term;
  }
  return result;
}

}  // namespace vicha
