// The loss of visual question answering: how unlikely the given answers are, weighted, per question (method, section
// 5.2).
// Q questions, A answers, L tokens of the longest, T rows of all answers (each token but the last of every answer), V
// vocabulary.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "tasks/downstream/network/pairs.h"
#include "tasks/vqa/network/answer_decoder.h"

namespace vicha {

/// The answers to a batch of questions.
struct GivenAnswers {
  Tokens tokens;                       ///< (A, L), [CLS] first, [SEP] last: two tokens at least
  std::vector<std::int64_t> question;  ///< (A), ascending: the question that each answers
  std::vector<float> weights;          ///< (A); may be empty where no loss is asked for
};

/// The answers as a decoder reads them. Nothing follows an answer's last token, so it is not read.
struct AnswerRows {
  at::Tensor ids, positions;          ///< (T) int64
  at::Tensor targets;                 ///< (T) int64: the token that follows
  at::Tensor weights;                 ///< (T) fp32: of the row's answer; undefined without weights
  std::vector<std::int64_t> lengths;  ///< (A) rows of each
  SegmentsPtr self, cross;

  AnswerRows(const GivenAnswers& answers, const std::vector<std::int64_t>& question_lengths, const at::Device& device);
};

/// (T, V): what each row says of the token that follows it.
at::Tensor answer_logits(const AnswerDecoder& decoder, const QuestionStates& questions, const AnswerRows& rows,
                         const Dropout& dropout);

/// -log p of the tokens that follow, or (1 - alpha) of it and alpha of the cross-entropy with the softmax of
/// `teacher_TV`: (T), fp32. The teacher is read if alpha > 0.
at::Tensor token_losses(const at::Tensor& logits_TV, const at::Tensor& targets_T, const at::Tensor& teacher_TV,
                        double alpha);

/// Sums over the rows of each answer: (T) -> (A).
at::Tensor sum_by_answer(const at::Tensor& of_rows_T, const AnswerRows& rows);

/// Sum of weight times loss over all rows, divided by the number of questions.
at::Tensor weighted_answer_loss(const at::Tensor& losses_T, const AnswerRows& rows, std::int64_t questions);

/// Fused states of questions beside pictures: (B, 3, R, R) or (B, N, P) each with its question.
QuestionStates encode_questions(const Encoders& encoders, const at::Tensor& pictures, const Tokens& concepts,
                                PackedText questions, const Dropout& dropout);

}  // namespace vicha
