// An objective is a plug-in: one pair of files that declares its options, its heads and their names in checkpoints,
// what it asks Encodings for, when it starts, and how reports call it; and one line in objectives/registry.cpp. Its
// mathematics is a pure function of tensors in the same files. docs/adding.md walks through one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/any_options.h"
#include "models/batch.h"
#include "models/vicha.h"
#include "objectives/encodings.h"

namespace vicha {

/// What every objective has in common: how much it counts, and from when on. An objective with options of its own
/// derives from this and describes both.
class ObjectiveOptions {
 public:
  bool enabled = true;
  double weight = 1.0;
  double start = 0.0;

  virtual ~ObjectiveOptions() = default;
  void describe(Visitor& v);
  /// Throws UsageError naming the keys, if the objective is enabled and the model is not as it needs it.
  virtual void check(const ModelOptions&) const {}
  /// What a report should say of it beside name, weight and start; "" for nothing.
  virtual std::string note() const { return ""; }
  /// What the objectives of a step share; asked of every objective, enabled or not.
  virtual void share(EncodingOptions&) const {}
};

/// Soft targets of the momentum model: how much they count at this step.
struct Distillation {
  double alpha = 0.0;
};

/// An objective at one step. It may add sequences of its own to the passes that all objectives share; each pass runs
/// when somebody first reads its result, after all objectives were asked to join it.
class ObjectiveStep : public PassGuest {
 public:
  /// Unweighted scalar, fp32. 0 with a gradient of 0 where the batch has nothing for this objective.
  virtual at::Tensor loss() = 0;
};

class Objective {
 public:
  virtual ~Objective() = default;
  virtual const ObjectiveOptions& options() const = 0;
  /// Adds what this objective reads of the encodings beyond what its step joins.
  virtual void want(Wants&) const {}
  /// Whether the fusion layers get gradient from it.
  virtual bool trains_fusion() const { return false; }
  /// Scope of its heads in the parameter store; "" where it has none.
  virtual std::string_view heads() const { return ""; }
  /// Adds its targets to a batch, on the host, where the batch is made: so that no step has to ask the device for the
  /// shape of what it drew.
  virtual void add_targets(Batch&, Rng&) const {}
  virtual bool has_targets() const { return false; }
  virtual std::unique_ptr<ObjectiveStep> begin(Encodings& encodings, const Distillation& distillation) const = 0;
};

/// How a kind of objective is known: to recipes, checkpoints and reports.
struct ObjectiveKind {
  std::string key;      ///< of its section in a recipe, of its loss in metrics: "itc"
  std::string title;    ///< of that section: "Image–text contrast"
  std::string name;     ///< within a sentence: "ITC"
  std::string curve;    ///< above its loss in a report: "ITC: image–text contrast"
  std::string measure;  ///< what its loss is counted in: "nats"
  /// Patterns (checkpoint/names/names.h) of its heads' names in checkpoints: a model with the objective may start from
  /// a file without them, and one without it from a file with them.
  std::vector<std::string> checkpoint_names;
  /// The heads exist in every model: evaluation and fine-tuning read them whether or not this run trains them.
  bool heads_always = false;
  AnyOptions<ObjectiveOptions> options = ObjectiveOptions();  ///< the defaults
  /// Registers the heads with the model. The options are of the same type.
  std::function<std::unique_ptr<Objective>(const ObjectiveOptions& options, Vicha& model)> make;
};

}  // namespace vicha
