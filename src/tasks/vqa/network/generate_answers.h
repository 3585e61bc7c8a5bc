// Answers in the decoder's own words: the likeliest sequence of tokens from [CLS] to [SEP] that a beam search finds
// (method, section 5.2).
#pragma once

#include <vector>

#include "tasks/vqa/network/answer_decoder.h"

namespace vicha {

struct GenerateOptions {
  std::int64_t beams = 3;        ///< 1: greedy, always the likeliest token
  std::int64_t max_tokens = 20;  ///< of an answer, without [CLS] and [SEP]
};

struct GeneratedAnswer {
  std::vector<std::int64_t> ids;  ///< without [CLS] and [SEP], at least one; none where log_prob is NaN
  double log_prob = 0;            ///< of the whole text, [SEP] included; NaN where a word's probability is
  bool finished = true;           ///< false: cut at max_tokens, no [SEP] in `log_prob`
};

/// One for each question. An answer has a token, and [PAD], [CLS] and [MASK] are none. Keys and values of questions and
/// earlier tokens are made once.
std::vector<GeneratedAnswer> generate_answers(const AnswerDecoder& decoder, const QuestionStates& questions,
                                              const GenerateOptions& options);

}  // namespace vicha
