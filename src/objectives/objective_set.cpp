#include "objectives/objective_set.h"

#include <algorithm>

#include "base/error.h"
#include "objectives/registry.h"

namespace vicha {

double DistillationOptions::at(std::int64_t epoch, std::int64_t step, std::int64_t steps_per_epoch) const {
  if (!enabled) return 0.0;
  if (!ramp || epoch > 0) return alpha;
  return alpha *
         std::min(1.0, static_cast<double>(step) / static_cast<double>(std::max<std::int64_t>(1, steps_per_epoch)));
}

ObjectivesOptions::ObjectivesOptions() {
  for (const ObjectiveKind& kind : objective_kinds()) options_.push_back(kind.options);
}

const ObjectiveOptions& ObjectivesOptions::at(std::string_view key) const {
  const std::vector<ObjectiveKind>& kinds = objective_kinds();
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i].key == key) return *options_[i];
  }
  throw std::logic_error("no kind of objective is called '" + std::string(key) + "'");
}

ObjectiveOptions& ObjectivesOptions::at(std::string_view key) {
  return const_cast<ObjectiveOptions&>(std::as_const(*this).at(key));
}

void ObjectivesOptions::enable_only(const std::vector<std::string_view>& keys) {
  const std::vector<ObjectiveKind>& kinds = objective_kinds();
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    options_[i]->enabled = std::ranges::find(keys, kinds[i].key) != keys.end();
  }
}

void ObjectivesOptions::describe(Visitor& v) {
  const std::vector<ObjectiveKind>& kinds = objective_kinds();
  for (std::size_t i = 0; i < kinds.size(); ++i) v.section(kinds[i].key, kinds[i].title, options_[i]);
  v.section("distillation", "Soft targets of the momentum model", distillation);
  v.field({"clamp_temperature", "", "Keep the temperature in [0.001, 0.5] (pretraining: yes, fine-tuning: no)"},
          clamp_temperature);
}

void ObjectivesOptions::check(const ModelOptions& model) const {
  for (const auto& options : options_) {
    if (options->enabled) options->check(model);
  }
}

EncodingOptions ObjectivesOptions::encoding() const {
  EncodingOptions shared;
  for (const auto& options : options_) options->share(shared);
  return shared;
}

ObjectiveSet::ObjectiveSet(const ObjectivesOptions& options, Vicha& model) {
  options.check(model.options());
  const ParameterStore::Scope heads(model.parameters(), "heads");
  for (const ObjectiveKind& kind : objective_kinds()) {
    const ObjectiveOptions& own = options.at(kind.key);
    if (own.enabled || kind.heads_always) entries_.push_back({kind.key, kind.make(own, model), own.enabled});
  }
}

void ObjectiveSet::set_begins(ParameterStore& store) const {
  double fusion = 1.0;
  for (const Entry& entry : entries_) {
    const double start = entry.enabled ? entry.objective->options().start : 1.0;
    if (entry.objective->trains_fusion()) fusion = std::min(fusion, start);
    if (!entry.objective->heads().empty()) store.set_begin(entry.objective->heads(), start);
  }
  store.set_begin("fusion", fusion);
}

}  // namespace vicha
