// What the evaluations of all downstream tasks give and are told.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tasks/downstream/downstream_recipe.h"
#include "tasks/host/task_kind.h"

namespace vicha {

struct Judgement {
  double score = 0;                ///< the greater the better: what keeps a checkpoint
  nlohmann::ordered_json figures;  ///< percent
  std::string table;
};

/// Options of `vicha eval` that all downstream tasks have. A task with more derives from this.
struct QuestionCommandOptions {
  QuestionOptions questions;
  bool calibrate = false;

  void describe(Visitor& v);
};
/// The recipe's, then the command's. Throws UsageError.
QuestionCommandOptions question_options(const LoadedModel& loaded, const EvaluateCommand& command);
std::vector<EvaluationFlag> question_flags();

/// What all results say beside their figures: manifest, checkpoint, precision, concepts, and how they are calibrated.
struct EvaluationOrigin {
  std::string checkpoint;  ///< folder
  std::string concepts;    ///< LoadedQuestions::concepts
};
EvaluateResult evaluate_result(const Judgement& judgement, const EvaluateCommand& command,
                               const EvaluationOrigin& origin);

}  // namespace vicha
