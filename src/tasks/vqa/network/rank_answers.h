// The best of a list of answers (method, section 5.2): those whose first token is likeliest are read to their end.
#pragma once

#include <cmath>
#include <vector>

#include "config/choice.h"
#include "tasks/vqa/network/answer_decoder.h"
#include "tasks/vqa/network/answer_paths.h"

namespace vicha {

enum class AnswerRank {
  kExact,    ///< by the answer's probability
  kReleased  ///< the first token counts twice, as in the public code
};
inline constexpr Choice<AnswerRank> kAnswerRankNames[] = {{"exact", AnswerRank::kExact},
                                                          {"released", AnswerRank::kReleased}};

struct RankOptions {
  std::int64_t k = 128;  ///< answers that are read to their end; all where the list is shorter
  AnswerRank rank = AnswerRank::kExact;
};

/// Of one question, the best first; of equal ones the one of lower index. Where a probability is not finite nothing can
/// be ranked: all of log_probs and probabilities then are NaN, so that whoever knows what was asked can say so.
struct RankedAnswers {
  bool finite() const { return !std::isnan(log_probs.front()); }

  std::vector<std::int64_t> answers;  ///< indices into the list, k of them
  std::vector<double> log_probs;      ///< log of each answer's probability among all texts; `rank` changes it
  std::vector<double> probabilities;  ///< among the k: they sum to 1
};

/// Questions' keys and values are made once, and every beginning goes through the decoder once.
std::vector<RankedAnswers> rank_answers(const AnswerDecoder& decoder, const QuestionStates& questions,
                                        const AnswerPaths& list, const RankOptions& options);

}  // namespace vicha
