// A loss of a recipe: asks Encodings for what it looks at, and computes one scalar. Its mathematics is a pure function
// of tensors in the same file.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/describe.h"
#include "models/encodings.h"

namespace vicha {

/// What every objective has in common: how much it counts, and from when on.
struct ObjectiveOptions {
  bool enabled = true;
  double weight = 1.0;
  double start = 0.0;

  void describe(Visitor& v) {
    v.field({"enabled", "", "The objective is part of the recipe"}, enabled);
    v.field({"weight", "", "Factor of the loss in the total", 0, 1e6}, weight);
    v.field({"start", "share of the run", "When the objective sets in; before, its work is not done", 0, 1}, start);
  }
};

/// Soft targets of the momentum model: how much they count at this step.
struct Distillation {
  double alpha = 0.0;
};

class Objective {
 public:
  virtual ~Objective() = default;
  virtual std::string_view name() const = 0;
  virtual const ObjectiveOptions& options() const = 0;
  /// Adds what this objective reads, with soft targets or without.
  virtual void want(Wants& wants, const Distillation& distillation) const = 0;
  /// Unweighted scalar, fp32.
  virtual at::Tensor loss(Encodings& encodings, const Distillation& distillation) const = 0;
};

}  // namespace vicha
