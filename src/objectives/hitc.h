// Hierarchical image–text contrast: class tokens of the layers below the last (method, section 3).
#pragma once

#include <algorithm>

#include "objectives/objective.h"

namespace vicha {

struct HitcOptions : ObjectiveOptions {
  std::int64_t levels = 5;
  std::vector<double> level_weights = {};

  HitcOptions() { weight = 0.1; }
  void describe(Visitor& v);
  void check(const ModelOptions& model) const override;
};

/// Both directions of one level, mean: f, g (B, E) normalised; candidates carry no gradient. `positives` (B, B) bool or
/// undefined (the diagonal).
at::Tensor level_loss(const at::Tensor& f_BE, const at::Tensor& g_BE, const at::Tensor& temperature,
                      const at::Tensor& positives_BB);

class HitcObjective : public Objective {
 public:
  /// Registers "vision_proj_hidden.N" and "text_proj_hidden.N". Throws UsageError if the weights do not match the
  /// levels.
  HitcObjective(const HitcOptions& options, Vicha& model);
  const ObjectiveOptions& options() const override { return options_; }
  void want(Wants& wants) const override { wants.levels = std::max(wants.levels, options_.levels); }
  std::string_view heads() const override { return "hitc_heads"; }
  /// Loss: the sum over levels, before the factor 0.1 (which is the objective's weight).
  std::unique_ptr<ObjectiveStep> begin(Encodings& encodings, const Distillation& distillation) const override;

  /// Loss of each level.
  std::vector<at::Tensor> level_losses(Encodings& encodings) const;
  /// Normalised projections of each level, the lowest first: (B, E).
  std::vector<Encodings::Features> level_features(Encodings& encodings) const;
  /// Maps of the texts' levels, the lowest first.
  const std::vector<Linear>& text_projections() const { return text_proj_; }

 private:
  HitcOptions options_;
  std::vector<Linear> vision_proj_, text_proj_;  ///< one per level
};

/// "hitc".
ObjectiveKind hitc_kind();

}  // namespace vicha
