// Answers of a model to the questions of a set, and what they are worth. X questions, k candidates of each.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "data/pipeline/evaluation.h"
#include "tasks/downstream/evaluation_command.h"
#include "tasks/downstream/questions.h"
#include "tasks/vqa/answer_texts.h"
#include "tasks/vqa/network/vqa_net.h"
#include "tasks/vqa/vqa_recipe.h"

namespace vicha {

/// In the order of the set's questions.
struct SetAnswers {
  std::vector<std::string> texts;
  at::Tensor choices;    ///< (X, k) int64 into the list, the best first; undefined where answers are generated
  at::Tensor log_probs;  ///< (X, k) fp32 of the choices (logits, with similarities); of generated answers (X, 1)
};

/// What a question's answer needs of its fused states.
QuestionStates question_states(const Vicha& model, const QuestionBatch& batch);

/// Of all answers of the list, what an AnswerSimilarity compares (A, E), without gradient; undefined where the model
/// has none.
at::Tensor texts_of_list(const VqaNet& net, const AnswerList& list);
/// Of each question its answers ranked, by their likelihood and, where the model has such, by what their texts gain.
std::vector<RankedAnswers> rank_asked(const VqaNet& net, const AnswerList& list, const AskedQuestions& asked,
                                      const RankOptions& options, const at::Tensor& list_texts_AE);

/// The same on every rank. `name`: of the model, for messages.
SetAnswers rank_set(const Vicha& model, const VqaNet& net, const AnswerList& list,
                    const std::shared_ptr<const EvaluationSet>& set, const AnsweringOptions& answering,
                    const QuestionOptions& questions, const std::string& name, const Group& group = Group::alone());
/// A process alone.
SetAnswers generate_set(const Vicha& model, const VqaNet& net, const AnswerList& list, const Vocabulary& vocabulary,
                        const std::shared_ptr<const EvaluationSet>& set, const AnsweringOptions& answering,
                        const QuestionOptions& questions, const std::string& name);

/// The text of a generated answer: the list's own spelling where it has one of these tokens.
std::string generated_text(std::vector<std::int64_t> ids, const AnswerList& list, const Vocabulary& vocabulary);

/// (X) place of the answer that most annotators gave among the choices; -1 where it is none of them, or the record
/// gives no answers.
at::Tensor right_choices(const EvaluationSet& set, const SetAnswers& answers, const AnswerList& list);

/// {"accuracy", "question_types": {TYPE: percent}, "answer_types": {…}, "majority", "nll", "ece", "not_in_list",
/// "records", "without_answers"}: percent, but for nll. Accuracies are the official ones, over records with answers;
/// without such records only the last two stand there.
Judgement judge_answers(const EvaluationSet& set, const SetAnswers& answers, const AnswerList& list,
                        double temperature = 1.0);

/// The questions that a submission answers: each id once. Throws DataError naming a record without an id, and both
/// records where an id stands for two questions.
std::vector<std::int64_t> submitted_questions(const EvaluationSet& set);
/// What the test server takes: [{"question_id", "answer"}] of these. Throws as that does.
std::string submission_json(const EvaluationSet& set, const std::vector<std::string>& answers);

}  // namespace vicha
