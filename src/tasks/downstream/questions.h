// Texts about pictures, evaluated: each picture is encoded once, and its keys and values are made once for each fusion
// layer, however many texts ask about it; texts pass in batches of many. In bounded memory: the set goes by in blocks.
// n texts of a batch, T text rows, D width, C numbers of an answer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/pipeline/evaluation.h"
#include "distributed/group.h"
#include "tasks/downstream/downstream_recipe.h"
#include "tasks/downstream/network/pairs.h"
#include "tasks/host/task_kind.h"

namespace vicha {

/// The manifest of `vicha eval`, with concepts and features as the model reads them. The texts are those of
/// `schema.text`. Without `padding` as the checkpoint's ConceptPadding says, to which entailment, VQA and NLVR2 pad.
/// (Grounding pads concepts to data.concepts.max_tokens.) Throws DataError as ConceptFinder::load, evaluation_features
/// and the manifest do.
struct LoadedQuestions {
  std::shared_ptr<const EvaluationSet> set;
  std::string concepts;  ///< where they come from, for results
};
LoadedQuestions load_questions(const LoadedModel& loaded, const EvaluateCommand& command, const Schema& schema,
                               const std::optional<EvaluationPadding>& padding = std::nullopt);
/// The same of a run's eval.manifest; null where the recipe names none. Every rank of the group calls it.
std::shared_ptr<const EvaluationSet> load_questions_along(const TrainingSetup& setup, const Schema& schema,
                                                          const EvaluationPadding& padding);

/// Some texts of a set, encoded, with the states of their pictures.
struct QuestionBatch {
  std::vector<std::int64_t> texts;  ///< numbers in the set
  TextStates text;
  ImageStates image;           ///< of the pictures that they are about; without hidden levels
  std::vector<at::Tensor> kv;  ///< Bert::image_kv of those
  /// [p][i]: place among these of text i's p-th picture: its record's own, then those of the schema's columns.
  std::vector<std::vector<std::int64_t>> image_of;
};

/// Shows all texts of the set, each once, in an order that keeps texts about one picture together; evaluation mode,
/// without gradient until `visit` switches that on. In a group each rank is shown a share of them.
void for_each_question(const Vicha& model, const std::shared_ptr<const EvaluationSet>& set,
                       const QuestionOptions& options, const std::function<void(const QuestionBatch&)>& visit,
                       const Group& group = Group::alone());

/// What `score` makes of each batch, (n, C), for all texts in the set's order: (X, C), fp32 on the CPU, the same on
/// every rank. `name`: of the model, for messages. Throws DataError naming it and the record where a score is NaN or an
/// infinity.
at::Tensor score_questions(const Vicha& model, const std::shared_ptr<const EvaluationSet>& set,
                           const QuestionOptions& options, std::int64_t numbers,
                           const std::function<at::Tensor(const QuestionBatch&)>& score,
                           const std::string& name = "the model", const Group& group = Group::alone());

/// Throws DataError that says so of a text of the set.
[[noreturn]] void refuse_scores(const std::string& name, const EvaluationSet& set, std::int64_t text);

}  // namespace vicha
