// The objectives of a recipe: their options, and the objectives themselves with their heads in a model.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "objectives/objective.h"

namespace vicha {

struct DistillationOptions {
  bool enabled = true;
  double alpha = 0.4;
  bool ramp = true;

  void describe(Visitor& v) {
    v.field({"enabled", "", "Mix the momentum model's answers into the targets (of ITC and MLM; of a task's answers)"},
            enabled);
    v.field({"alpha", "", "Share of the soft targets", 0, 1}, alpha);
    v.field({"ramp", "", "Grow the share from 0 over the first epoch"}, ramp);
  }
  /// Share at a step: `step` of `steps_per_epoch` in `epoch`, all from 0.
  double at(std::int64_t epoch, std::int64_t step, std::int64_t steps_per_epoch) const;
};

/// A section of a recipe for each known kind of objective, and what they share.
class ObjectivesOptions {
 public:
  DistillationOptions distillation;
  bool clamp_temperature = true;

  /// All known kinds at their defaults.
  ObjectivesOptions();

  /// Throws std::logic_error where there is no such kind.
  ObjectiveOptions& at(std::string_view key);
  const ObjectiveOptions& at(std::string_view key) const;
  /// The options of a kind by their type: get<MlmOptions>().
  template <class Options>
  Options& get() {
    for (auto& options : options_) {
      if (options.template holds<Options>()) return options.template get<Options>();
    }
    throw std::logic_error("no kind of objective has these options");
  }
  template <class Options>
  const Options& get() const {
    return const_cast<ObjectivesOptions*>(this)->get<Options>();
  }
  /// Only these, of all known kinds.
  void enable_only(const std::vector<std::string_view>& keys);

  void describe(Visitor& v);
  /// Throws UsageError if an enabled objective does not fit the model.
  void check(const ModelOptions& model) const;
  /// What the objectives of a step share.
  EncodingOptions encoding() const;

 private:
  std::vector<AnyOptions<ObjectiveOptions>> options_;  ///< in the order of objective_kinds()
};

/// The objectives with their heads. Those that are off are here too where their heads exist all the same.
class ObjectiveSet {
 public:
  /// Registers the heads in the model. Throws UsageError if options and model do not fit each other.
  ObjectiveSet(const ObjectivesOptions& options, Vicha& model);

  struct Entry {
    std::string name;  ///< ObjectiveKind::key
    std::unique_ptr<Objective> objective;
    bool enabled;
  };
  /// In the order of the method's step, in which the total is summed.
  const std::vector<Entry>& entries() const { return entries_; }
  /// By its type; nullptr where the model does not have it.
  template <class T>
  const T* find() const {
    for (const Entry& entry : entries_) {
      if (const auto* found = dynamic_cast<const T*>(entry.objective.get())) return found;
    }
    return nullptr;
  }
  /// Heads, and the fusion layers, first learn when the first objective sets in that trains them (Parameter::begins).
  void set_begins(ParameterStore& store) const;

 private:
  std::vector<Entry> entries_;
};

}  // namespace vicha
