// Everything a recipe can say about fine-tuning for retrieval (method, section 5.1).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "objectives/objective_set.h"
#include "tasks/host/task_recipe.h"
#include "tasks/retrieval/eval_options.h"
#include "train/early_stop.h"

namespace vicha {

/// Retrieval's training as the method has it: contrast and matching, unweighted, with pairs of one picture as positives
/// of each other; the temperature is not clamped, crops are moderate, and all concepts are read.
void set_retrieval_defaults(ObjectivesOptions& objectives, DataOptions& data);
/// Throws UsageError if an objective is on that needs more than pictures with texts (teach, ira, mrm, mtm).
void require_pairs_suffice(const ObjectivesOptions& objectives, const std::string& task);

/// Checkpoints are judged by the mean of all recalls, and the best is kept.
struct RetrievalEvalOptions : EvalOptions {
  EarlyStopOptions stop;

  void describe(Visitor& v);
};

struct RetrievalRecipe : TaskRecipe {
  ObjectivesOptions objectives;
  RetrievalEvalOptions eval;

  RetrievalRecipe();
  void describe(Visitor& v);
  void finish() override;
  std::vector<std::pair<std::string, std::string>> facts() const override;
  std::vector<std::string> evaluation_settings() const override { return eval.settings(); }
  std::string evaluation_manifest() const override { return eval.manifest; }
};

}  // namespace vicha
