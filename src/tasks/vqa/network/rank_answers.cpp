#include "tasks/vqa/network/rank_answers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <span>

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

/// Candidates whose keys and values are in memory together: 40 MB a layer with BERT-base, for each token of theirs.
constexpr std::int64_t kCandidatesAtOnce = 4096;

/// Log-probabilities of the list's F first tokens for each question: (Q, F) row by row.
std::vector<float> first_log_probs(const AnswerPrefixes& prefixes, const at::Tensor& starts, const AnswerPaths& list) {
  std::vector<std::pair<std::int64_t, std::int64_t>> wanted;
  for (std::int64_t q = 0; q < starts.size(0); ++q) {
    for (const std::int64_t token : list.first_tokens()) wanted.emplace_back(q, token);
  }
  return prefixes.next_log_probs(starts, wanted);
}

/// The k answers whose first token is likeliest; of equal ones those of lower index. NaN has no place in an order: with
/// such the first k.
std::vector<std::int64_t> likeliest_first(std::span<const float> of_tokens, const AnswerPaths& list, std::int64_t k) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(list.size()));
  std::iota(order.begin(), order.end(), 0);
  if (std::ranges::any_of(of_tokens, [](float p) { return std::isnan(p); })) {
    order.resize(static_cast<std::size_t>(k));
    return order;
  }
  const auto value = [&](std::int64_t answer) {
    return of_tokens[static_cast<std::size_t>(list.first_of()[static_cast<std::size_t>(answer)])];
  };
  std::partial_sort(order.begin(), order.begin() + k, order.end(),
                    [&](std::int64_t a, std::int64_t b) { return value(a) != value(b) ? value(a) > value(b) : a < b; });
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
  if (std::ranges::any_of(candidates, [](const AnswerCandidate& c) { return !std::isfinite(c.log_prob); })) {
    const std::vector<double> nothing(candidates.size(), std::numeric_limits<double>::quiet_NaN());
    RankedAnswers none{.answers = {}, .log_probs = nothing, .probabilities = nothing};
    for (const AnswerCandidate& c : candidates) none.answers.push_back(c.answer);
    return none;
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

/// Of questions that are in memory together.
std::vector<RankedAnswers> rank_some(const AnswerDecoder& decoder, const QuestionStates& questions,
                                     const AnswerPaths& list, std::int64_t k, AnswerRank rank) {
  AnswerPrefixes prefixes(decoder, questions);
  std::vector<AnswerPrefixes::Token> start;
  for (std::int64_t q = 0; q < questions.size(); ++q) start.push_back({q, -1, list.start_id()});
  const std::vector<float> first = first_log_probs(prefixes, prefixes.extend(start), list);
  std::vector<AnswerCandidate> candidates;
  for (std::int64_t q = 0; q < questions.size(); ++q) {
    const auto tokens =
        std::span(first).subspan(static_cast<std::size_t>(q) * list.first_tokens().size(), list.first_tokens().size());
    const float* of_question = tokens.data();
    for (const std::int64_t answer : likeliest_first(tokens, list, k)) {
      const double counted = rank == AnswerRank::kReleased ? 2.0 : 1.0;
      const float log_prob = of_question[list.first_of()[static_cast<std::size_t>(answer)]];
      candidates.push_back({q, answer, counted * static_cast<double>(log_prob), q});
    }
  }
  read_to_end(candidates, prefixes, list);
  std::vector<RankedAnswers> result;
  for (auto at = candidates.begin(); at != candidates.end(); at += k) result.push_back(best_first({at, at + k}));
  return result;
}

}  // namespace

std::vector<RankedAnswers> rank_answers(const AnswerDecoder& decoder, const QuestionStates& questions,
                                        const AnswerPaths& list, const RankOptions& options) {
  VICHA_ASSERT(options.k > 0);
  const std::int64_t k = std::min(options.k, list.size());
  const auto at_once = static_cast<std::size_t>(std::max<std::int64_t>(1, kCandidatesAtOnce / k));
  std::vector<RankedAnswers> result;
  std::int64_t row = 0;
  for (std::size_t begin = 0; begin < questions.lengths.size(); begin += at_once) {
    const std::size_t end = std::min(begin + at_once, questions.lengths.size());
    QuestionStates some;
    some.lengths.assign(questions.lengths.begin() + static_cast<std::ptrdiff_t>(begin),
                        questions.lengths.begin() + static_cast<std::ptrdiff_t>(end));
    const std::int64_t rows = std::accumulate(some.lengths.begin(), some.lengths.end(), std::int64_t{0});
    some.states = questions.states.slice(0, row, row + rows);
    row += rows;
    std::vector<RankedAnswers> ranked = rank_some(decoder, some, list, k, options.rank);
    result.insert(result.end(), std::make_move_iterator(ranked.begin()), std::make_move_iterator(ranked.end()));
  }
  return result;
}

}  // namespace vicha
