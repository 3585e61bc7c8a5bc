#include "objectives/pretrain_step.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "objectives/registry.h"

namespace vicha {

PretrainStep::PretrainStep(const ObjectivesOptions& options, const ObjectiveSet& objectives, Vicha& model)
    : options_(options), model_(model), objectives_(objectives) {
  require_one_image(model.options(), "pretraining");
  std::vector<std::string> keys;
  for (const ObjectiveKind& kind : objective_kinds()) {
    const ObjectiveOptions& own = options.at(kind.key);
    if (own.enabled && own.start == 0.0) return;
    keys.push_back(kind.key);
  }
  throw UsageError(
      fmt::format("no objective is active at the start: enable one of {} with start = 0", fmt::join(keys, ", ")));
}

std::unique_ptr<PretrainStep::Run> PretrainStep::begin(const Batch& batch, Draws& draws, double progress, double alpha,
                                                       TextCache* cache, bool plain) const {
  std::vector<const ObjectiveSet::Entry*> active;
  Wants wants;
  for (const ObjectiveSet::Entry& entry : objectives_.entries()) {
    if (!entry.enabled || progress < entry.objective->options().start) continue;
    active.push_back(&entry);
    entry.objective->want(wants);
  }
  EncodingOptions how = options_.encoding();
  how.packed_text = how.read_rows_only = !plain;
  auto run = std::make_unique<Run>(model_, batch, draws, wants, how, cache);
  std::vector<PassGuest*> guests;
  for (const ObjectiveSet::Entry* entry : active) {
    run->active_.push_back({entry, entry->objective->begin(run->encodings, {alpha})});
    guests.push_back(run->active_.back().step.get());
  }
  run->encodings.set_guests(std::move(guests));
  return run;
}

PretrainStep::Result PretrainStep::losses(Run& run) const {
  if (options_.clamp_temperature) model_.clamp_temperature();
  Result result;
  for (const Run::Active& active : run.active_) {
    const at::Tensor loss = active.step->loss();
    result.terms.emplace_back(active.entry->name, loss);
    const double weight = active.entry->objective->options().weight;
    const at::Tensor term = weight == 1.0 ? loss : loss * weight;
    result.total = result.total.defined() ? result.total + term : term;
  }
  return result;
}

std::vector<std::function<void(Batch&, Rng&)>> PretrainStep::target_makers() const {
  std::vector<std::function<void(Batch&, Rng&)>> makers;
  for (const ObjectiveSet::Entry& entry : objectives_.entries()) {
    if (!entry.enabled || !entry.objective->has_targets()) continue;
    makers.emplace_back(
        [objective = entry.objective.get()](Batch& batch, Rng& rng) { objective->add_targets(batch, rng); });
  }
  return makers;
}

}  // namespace vicha
