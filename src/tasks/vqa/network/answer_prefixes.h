// Beginnings of answers, token by token: each goes through the decoder once, whatever number of answers begins with it,
// and reads the keys and values that were kept of the tokens before it. No gradient, no dropout.
// n beginnings, D width, V vocabulary.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "tasks/vqa/network/answer_decoder.h"

namespace vicha {

class AnswerPrefixes {
 public:
  AnswerPrefixes(const AnswerDecoder& decoder, const QuestionStates& questions);

  struct Token {
    std::int64_t question;  ///< not less than that of the token before in the list
    std::int64_t before;    ///< number of the beginning that it continues; -1: none, it is the first token
    std::int64_t id;
  };
  /// Beginnings that are one token longer: their last states (n, D). Their numbers are count(), count() + 1, …, as
  /// count() was before.
  at::Tensor extend(const std::vector<Token>& tokens);
  std::int64_t count() const { return static_cast<std::int64_t>(before_.size()); }

  /// Every beginning's log-probabilities of some next tokens: `wanted` lists (row of `states_nD`, token). fp32 on the
  /// CPU, in that order. Logits of a few hundred rows are in memory at a time.
  std::vector<float> next_log_probs(const at::Tensor& states_nD,
                                    const std::vector<std::pair<std::int64_t, std::int64_t>>& wanted) const;

 private:
  const AnswerDecoder& decoder_;
  std::vector<std::int64_t> question_begin_, question_length_;
  std::vector<at::Tensor> question_kv_;          // of each layer
  std::vector<at::Tensor> kept_;                 // of each layer: keys and values of all beginnings' last tokens
  std::vector<std::int64_t> before_, position_;  // of each beginning
};

}  // namespace vicha
