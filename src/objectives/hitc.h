// Hierarchical image–text contrast: class tokens of the layers below the last (method, section 3).
#pragma once

#include "objectives/objective.h"

namespace vicha {

struct HitcOptions : ObjectiveOptions {
  std::int64_t levels = 5;
  std::vector<double> level_weights = {};

  HitcOptions() { weight = 0.1; }
  void describe(Visitor& v) {
    ObjectiveOptions::describe(v);
    v.field({"levels", "layers", "Hidden states below the last that are aligned", 1, 1024}, levels);
    v.field({"level_weights", "", "Factor of each level, the lowest first; empty: all 1"}, level_weights);
  }
};

/// Both directions of one level, mean: f, g (B, E) normalised; candidates carry no gradient. `positives` (B, B) bool or
/// undefined (the diagonal).
at::Tensor level_loss(const at::Tensor& f_BE, const at::Tensor& g_BE, const at::Tensor& temperature,
                      const at::Tensor& positives_BB);

class HitcObjective : public Objective {
 public:
  /// Throws UsageError if the weights do not match the levels.
  explicit HitcObjective(const HitcOptions& options);
  std::string_view name() const override { return "hitc"; }
  const ObjectiveOptions& options() const override { return options_; }
  void want(Wants& wants, const Distillation&) const override { wants.levels = options_.levels; }
  /// Sum over levels, before the factor 0.1 (which is the objective's weight).
  at::Tensor loss(Encodings& encodings, const Distillation& distillation) const override;
  /// Loss of each level.
  std::vector<at::Tensor> level_losses(Encodings& encodings) const;

 private:
  HitcOptions options_;
};

}  // namespace vicha
