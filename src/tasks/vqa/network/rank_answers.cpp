#include "tasks/vqa/network/rank_answers.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "tasks/vqa/network/answer_prefixes.h"

namespace vicha {
namespace {

/// An answer to one question on its way to its end.
struct AnswerCandidate {
  std::int64_t question, answer;
  double log_prob;
  std::int64_t beginning;  ///< number of its longest beginning among the AnswerPrefixes so far
};

/// Log-probabilities of first tokens, for each question and each answer of the list: (Q, A) row by row.
std::vector<float> first_tokens(const AnswerPrefixes& prefixes, const at::Tensor& starts, const AnswerPaths& list) {
  std::vector<std::pair<std::int64_t, std::int64_t>> wanted;
  for (std::int64_t q = 0; q < starts.size(0); ++q) {
    for (std::int64_t a = 0; a < list.size(); ++a) wanted.emplace_back(q, list.tokens(a)[1]);
  }
  return prefixes.next_log_probs(starts, wanted);
}

/// The k answers whose first token is likeliest; of equal ones those of lower index.
std::vector<std::int64_t> likeliest_first(const float* first_A, std::int64_t answers, std::int64_t k) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(answers));
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](std::int64_t a, std::int64_t b) {
    return first_A[a] != first_A[b] ? first_A[a] > first_A[b] : a < b;
  });
  order.resize(static_cast<std::size_t>(k));
  return order;
}

/// Reads all candidates, which stand in the order of their questions, to their end.
void read_to_end(std::vector<AnswerCandidate>& candidates, AnswerPrefixes& prefixes, const AnswerPaths& list) {
  // A beginning's row in this level's pass, for the question at hand.
  std::vector<std::int64_t> row_of(static_cast<std::size_t>(list.beginnings()));
  std::vector<std::int64_t> question_of(static_cast<std::size_t>(list.beginnings()));
  for (std::size_t depth = 1;; ++depth) {
    std::fill(question_of.begin(), question_of.end(), -1);
    std::vector<AnswerPrefixes::Token> tokens;
    std::vector<std::pair<std::int64_t, std::int64_t>> wanted;
    std::vector<AnswerCandidate*> read;
    const std::int64_t base = prefixes.count();
    for (AnswerCandidate& candidate : candidates) {
      const auto path = list.path(candidate.answer);
      if (path.size() < depth) continue;
      const auto at = static_cast<std::size_t>(path[depth - 1]);
      const auto ids = list.tokens(candidate.answer);
      if (question_of[at] != candidate.question) {
        question_of[at] = candidate.question;
        row_of[at] = static_cast<std::int64_t>(tokens.size());
        tokens.push_back({candidate.question, candidate.beginning, ids[depth]});
      }
      candidate.beginning = base + row_of[at];
      wanted.emplace_back(row_of[at], ids[depth + 1]);
      read.push_back(&candidate);
    }
    if (tokens.empty()) return;
    const std::vector<float> logp = prefixes.next_log_probs(prefixes.extend(tokens), wanted);
    for (std::size_t i = 0; i < read.size(); ++i) read[i]->log_prob += logp[i];
  }
}

RankedAnswers best_first(std::vector<AnswerCandidate> candidates) {
  for (const AnswerCandidate& c : candidates) {
    if (std::isfinite(c.log_prob)) continue;
    throw DataError("answers", fmt::format("the log-probability of one is {}, and a ranking says nothing", c.log_prob),
                    "The weights hold numbers that are not finite, or lead to such: look at the losses of the "
                    "training, or take an earlier checkpoint");
  }
  std::sort(candidates.begin(), candidates.end(), [](const AnswerCandidate& a, const AnswerCandidate& b) {
    return a.log_prob != b.log_prob ? a.log_prob > b.log_prob : a.answer < b.answer;
  });
  RankedAnswers result;
  double sum = 0;
  for (const AnswerCandidate& c : candidates) {
    result.answers.push_back(c.answer);
    result.log_probs.push_back(c.log_prob);
    result.probabilities.push_back(std::exp(c.log_prob - candidates.front().log_prob));
    sum += result.probabilities.back();
  }
  for (double& p : result.probabilities) p /= sum;
  return result;
}

}  // namespace

std::vector<RankedAnswers> rank_answers(const AnswerDecoder& decoder, const QuestionStates& questions,
                                        const AnswerPaths& list, const RankOptions& options) {
  VICHA_ASSERT(options.k > 0);
  AnswerPrefixes prefixes(decoder, questions);
  std::vector<AnswerPrefixes::Token> start;
  for (std::int64_t q = 0; q < questions.size(); ++q) start.push_back({q, -1, list.start_id()});
  const std::vector<float> first = first_tokens(prefixes, prefixes.extend(start), list);
  const std::int64_t k = std::min(options.k, list.size());
  std::vector<AnswerCandidate> candidates;
  for (std::int64_t q = 0; q < questions.size(); ++q) {
    const float* of_question = first.data() + q * list.size();
    for (const std::int64_t answer : likeliest_first(of_question, list.size(), k)) {
      const double counted = options.rank == AnswerRank::kReleased ? 2.0 : 1.0;
      candidates.push_back({q, answer, counted * static_cast<double>(of_question[answer]), q});
    }
  }
  read_to_end(candidates, prefixes, list);
  std::vector<RankedAnswers> result;
  for (auto at = candidates.begin(); at != candidates.end(); at += k) result.push_back(best_first({at, at + k}));
  return result;
}

}  // namespace vicha
