// Evaluation and prediction of tasks whose answer is one of a few classes (entailment, NLVR2). n texts, C classes.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/pipeline/evaluation.h"
#include "tasks/downstream/answer_calibration.h"
#include "tasks/downstream/evaluation_command.h"
#include "tasks/downstream/questions.h"
#include "tasks/host/task_kind.h"

namespace vicha {

/// Columns that evaluation reads beside the task's: the optional field "type", by which figures are given too.
inline constexpr const char* kTypeField = "type";
ColumnSpec type_column();

/// (n) labels of the set's texts, in its order, from the column `field`.
at::Tensor labels_of(const EvaluationSet& set, const std::string& field);

/// {"accuracy", "chance", "majority", "labels": {NAME: percent}, "confusion": {NAME: {NAME: count}}, "types": {TYPE:
/// percent} (where records have such), "nll", "ece", "records", "left_out"}. `logits_nC` as score_questions gives them,
/// divided by `temperature` for nll and ece.
Judgement judge_classes(const EvaluationSet& set, const at::Tensor& logits_nC, const at::Tensor& labels_n,
                        const std::vector<std::string>& classes, double temperature = 1.0);

/// Names of figures of judge_classes, for reports.
std::vector<Figure> classification_figures();

/// The whole of `vicha eval` for such a task: loads the set, scores it, calibrates if asked to, judges. The model's own
/// part is `score`: logits (n, C) of a batch. `schema`: with the column `label_field` and type_column().
struct ClassifiedTask {
  Schema schema;
  std::string label_field;
  std::vector<std::string> classes;
  std::function<at::Tensor(const QuestionBatch& batch)> score;
};
EvaluateResult evaluate_classes(const LoadedModel& loaded, const EvaluateCommand& command, const ClassifiedTask& task);

/// Members of an answer: "answer", "probability", "probabilities" {NAME: p}, "calibrated".
void add_classes(nlohmann::ordered_json& answer, const at::Tensor& logits_C, const std::vector<std::string>& classes,
                 const std::optional<AnswerCalibration>& calibration);

}  // namespace vicha
