// How like an answer's text is to what a question looks at in its picture: what a ranking of answers may add to their
// likelihood (vqa.similarity; method, section 5.2). The decoder learns what an answer is called letter by letter, as it
// were; words and patches have been aligned before, so that "raccoon" is like the patches that show one.
// Q questions, L rows of the longest, A answers, N patches, E common embedding of words and patches
// (model.fusion.similarity), D widths.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/vicha.h"
#include "nn/linear.h"
#include "tasks/vqa/network/answer_decoder.h"
#include "tasks/vqa/network/rank_answers.h"

namespace vicha {

/// Questions that have been fused with their pictures.
struct AskedQuestions {
  const QuestionStates& fused;                ///< all real tokens
  const TextStates& text;                     ///< before the fusion
  const ImageStates& image;                   ///< of the pictures, with their patches as words see them
  const std::vector<std::int64_t>& image_of;  ///< (Q) of each question its picture
};

class AnswerSimilarity {
 public:
  /// Registers "answer_query.", "answer_key.", "answer_flag" and "answer_scale." in the scopes "heads", "fusion_heads"
  /// and "answer_similarity" of the model, which outlives this. Throws UsageError naming the key if the model compares
  /// no words with patches.
  explicit AnswerSimilarity(Vicha& model);

  /// Answers (A, L), [CLS] first, with or without [SEP] last: the mean of their words as the comparison sees them,
  /// (A, E), online; 0 of an answer without words.
  at::Tensor answers(const Tokens& tokens) const;

  /// (Q, N), rows that sum to 1: which patches a question looks at, from its fused [CLS], the patches' states, and how
  /// like each patch is to the likeliest of the question's own words.
  at::Tensor looks(const AskedQuestions& asked) const;

  /// (Q, A), fp32: what each answer's log-likelihood gains. The cosine of answer and attended patches times a number
  /// that the fused [CLS] gives, 0 at first, so that a model that is given this is at first the model that it was, and
  /// questions that no patch's name answers ("how many") need not heed it.
  at::Tensor gains(const AskedQuestions& asked, const at::Tensor& answers_AE) const;

 private:
  const Vicha& model_;
  Linear query_, key_, scale_;
  at::Tensor flag_;  ///< (1)
};

/// Ranks a question's answers anew with `gains` (A, fp32 on the CPU) added to their log-probabilities, which then are
/// those of nothing, but logits of the softmax that `probabilities` are.
void add_gains(RankedAnswers& ranked, const float* gains);

/// Cross-entropy of `log_probs` and `gains` together, both (Q, A) over the same answers, with shares `wanted_QA` >= 0
/// of each (rows need not sum to 1; those that are 0 throughout count nothing): the sum over answers, the mean over
/// questions. What the decoder says is taken as it is: the gradient is that of the gains.
at::Tensor answer_gain_loss(const at::Tensor& log_probs_QA, const at::Tensor& gains_QA, const at::Tensor& wanted_QA);

}  // namespace vicha
