#include "tasks/vqa/network/answer_loss.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "nn/host_copy.h"

namespace vicha {
namespace {

/// `lengths[a]` rows of answer a attend to the rows of question `question[a]`.
SegmentsPtr answers_to_questions(const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& question,
                                 const std::vector<std::int64_t>& question_lengths) {
  auto cross = std::make_shared<Segments>();
  std::size_t at = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const auto wanted = static_cast<std::size_t>(question[i]);
    VICHA_ASSERT(wanted >= at && wanted < question_lengths.size());
    for (; at < wanted; ++at) cross->k_rows += question_lengths[at];
    cross->list.push_back({cross->q_rows, lengths[i], cross->k_rows, question_lengths[at]});
    cross->q_rows += lengths[i];
  }
  for (; at < question_lengths.size(); ++at) cross->k_rows += question_lengths[at];
  return cross;
}

}  // namespace

AnswerRows::AnswerRows(const GivenAnswers& answers, const std::vector<std::int64_t>& question_lengths,
                       const at::Device& device) {
  const at::Tensor host = answers.tokens.ids.cpu().contiguous();
  const std::int64_t longest = host.size(1);
  const std::int64_t* from = host.data_ptr<std::int64_t>();
  std::vector<std::int64_t> read, at, next;
  std::vector<float> weight;
  for (std::size_t i = 0; i < answers.question.size(); ++i) {
    const std::int64_t rows = answers.tokens.lengths[i] - 1;
    VICHA_ASSERT(rows > 0);
    lengths.push_back(rows);
    for (std::int64_t j = 0; j < rows; ++j) {
      const std::int64_t* token = from + static_cast<std::int64_t>(i) * longest + j;
      read.push_back(token[0]);
      at.push_back(j);
      next.push_back(token[1]);
      if (!answers.weights.empty()) weight.push_back(answers.weights[i]);
    }
  }
  ids = to_device(at::tensor(read, at::kLong), device);
  positions = to_device(at::tensor(at, at::kLong), device);
  targets = to_device(at::tensor(next, at::kLong), device);
  if (!weight.empty()) weights = to_device(at::tensor(weight, at::kFloat), device);
  self = Segments::causal_packed(lengths);
  cross = answers_to_questions(lengths, answers.question, question_lengths);
}

at::Tensor answer_logits(const AnswerDecoder& decoder, const QuestionStates& questions, const AnswerRows& rows,
                         const Dropout& dropout) {
  return decoder.logits(
      decoder(rows.ids, rows.positions, rows.self, decoder.question_kv(questions.states), rows.cross, dropout));
}

at::Tensor token_losses(const at::Tensor& logits_TV, const at::Tensor& targets_T, const at::Tensor& teacher_TV,
                        double alpha) {
  const at::Tensor logp = logits_TV.log_softmax(1);
  const at::Tensor hard = -logp.gather(1, targets_T.unsqueeze(1)).squeeze(1);
  if (alpha == 0.0) return hard;
  return hard * (1.0 - alpha) - (teacher_TV.detach().softmax(1) * logp).sum(1) * alpha;
}

at::Tensor sum_by_answer(const at::Tensor& of_rows_T, const AnswerRows& rows) {
  std::vector<at::Tensor> sums;
  for (const at::Tensor& answer : of_rows_T.split_with_sizes(rows.lengths)) sums.push_back(answer.sum());
  return sums.empty() ? of_rows_T.new_empty({0}) : at::stack(sums);
}

at::Tensor weighted_answer_loss(const at::Tensor& losses_T, const AnswerRows& rows, std::int64_t questions) {
  return (losses_T * rows.weights).sum() / static_cast<double>(questions);
}

QuestionStates encode_questions(const Encoders& encoders, const at::Tensor& pictures, const Tokens& concepts,
                                PackedText questions, const Dropout& dropout) {
  const PairStates pairs = encode_pairs(encoders, pictures, concepts, std::move(questions), FusedRows::kAll, dropout);
  return {pairs.fused, pairs.lengths};
}

}  // namespace vicha
