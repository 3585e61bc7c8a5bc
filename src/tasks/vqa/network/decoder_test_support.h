// A small decoder with lively weights, and questions for it.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "tasks/vqa/network/answer_decoder.h"
#include "tasks/vqa/network/answer_loss.h"

namespace vicha {

struct SmallDecoder {
  ParameterStore store{7};
  TextOptions options;
  Twins<AnswerDecoder> decoders;

  static TextOptions sizes(std::int64_t vocabulary) {
    TextOptions o;
    o.vocabulary = vocabulary;
    o.max_positions = 16;
    o.width = 16;
    o.heads = 2;
    o.inner = 24;
    o.text_layers = 1;
    o.fusion_layers = 2;
    o.dropout = 0.0;
    o.pad_id = 0;
    o.cls_id = 1;
    o.sep_id = 2;
    o.mask_id = 3;
    return o;
  }

  explicit SmallDecoder(std::int64_t vocabulary)
      : options(sizes(vocabulary)), decoders(add_answer_decoder(store, options)) {
    const at::NoGradGuard guard;
    at::manual_seed(11);
    for (std::size_t i = 0; i < store.parameters().size(); ++i) {
      at::Tensor& value = store.value(i);
      value.add_(at::randn(value.sizes()) * 0.3);
    }
  }
  const AnswerDecoder& decoder() const { return decoders.online; }

  static QuestionStates questions(const std::vector<std::int64_t>& lengths) {
    std::int64_t rows = 0;
    for (const std::int64_t length : lengths) rows += length;
    return {at::randn({rows, 16}), lengths};
  }
};

/// Rows of tokens filled up with 0.
inline Tokens padded_answers(const std::vector<std::vector<std::int64_t>>& rows) {
  Tokens tokens;
  std::size_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.size());
  tokens.ids = at::zeros({static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(longest)}, at::kLong);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy(rows[i].begin(), rows[i].end(),
              tokens.ids.data_ptr<std::int64_t>() + static_cast<std::int64_t>(i * longest));
    tokens.lengths.push_back(static_cast<std::int64_t>(rows[i].size()));
  }
  return tokens;
}

/// log p of each answer to each question, (Q, A), by the path that training takes.
inline at::Tensor plain_answer_log_probs(const AnswerDecoder& decoder, const QuestionStates& questions,
                                         const std::vector<std::vector<std::int64_t>>& answers) {
  const at::NoGradGuard guard;
  GivenAnswers all;
  std::vector<std::vector<std::int64_t>> rows;
  for (std::int64_t q = 0; q < questions.size(); ++q) {
    for (const auto& answer : answers) {
      rows.push_back(answer);
      all.question.push_back(q);
    }
  }
  all.tokens = padded_answers(rows);
  const AnswerRows read(all, questions.lengths, at::kCPU);
  const at::Tensor losses =
      token_losses(answer_logits(decoder, questions, read, Dropout()), read.targets, at::Tensor(), 0.0);
  return -sum_by_answer(losses, read).view({questions.size(), -1});
}

}  // namespace vicha
