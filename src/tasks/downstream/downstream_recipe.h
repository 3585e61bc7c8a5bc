// What the recipes of all downstream tasks have in common: soft targets of the momentum model, and evaluation along the
// way.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "objectives/objective_set.h"
#include "tasks/host/task_recipe.h"
#include "train/early_stop.h"

namespace vicha {

/// How a set of questions is evaluated, along the way (the recipe's section `eval`) and by `vicha eval`.
struct QuestionOptions {
  std::int64_t batch_size = 64;    ///< pictures encoded at once
  std::int64_t memory_mib = 1024;  ///< for the pictures' states, keys and values

  void describe(Visitor& v);
};

struct DownstreamEvaluation {
  std::string manifest;
  QuestionOptions questions;
  EarlyStopOptions stop;

  void describe(Visitor& v);
};

/// Training draws no concepts: all are read, in order, unless the recipe says otherwise.
class DownstreamRecipe : public TaskRecipe {
 public:
  DistillationOptions distillation;
  DownstreamEvaluation eval;

  std::vector<std::string> evaluation_settings() const override;
  std::string evaluation_manifest() const override { return eval.manifest; }
  std::vector<std::pair<std::string, std::string>> facts() const override;

 protected:
  explicit DownstreamRecipe(std::string task_key);
  DownstreamRecipe(const DownstreamRecipe&) = default;
  DownstreamRecipe& operator=(const DownstreamRecipe&) = default;

  /// The task's key, the model and the section `distillation`; then the task describes its own sections.
  void describe_head(Visitor& v);
  /// Where the weights start, data, training, and the section `eval`.
  void describe_tail(Visitor& v);
};

}  // namespace vicha
