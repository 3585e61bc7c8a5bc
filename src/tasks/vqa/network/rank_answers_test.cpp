#include "tasks/vqa/network/rank_answers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tasks/vqa/network/decoder_test_support.h"
#include "tasks/vqa/network/generate_answers.h"

namespace vicha {
namespace {

using AnswerIds = std::vector<std::vector<std::int64_t>>;

/// Beginnings in common, one answer that begins another, one that stands twice, an empty one.
const AnswerIds kAnswerIds = {{1, 5, 2},       {1, 5, 6, 2}, {1, 5, 6, 7, 8, 2}, {1, 9, 2}, {1, 9, 6, 2},  {1, 10, 2},
                              {1, 5, 6, 7, 2}, {1, 2},       {1, 11, 11, 2},     {1, 9, 2}, {1, 12, 6, 2}, {1, 13, 2},
                              {1, 10, 5, 6, 2}};

TEST(AnswerPaths, SharesWhatAnswersBeginWith) {
  const AnswerPaths list({{1, 5, 2}, {1, 5, 6, 2}, {1, 2}, {1, 6, 2}, {1, 5, 2}});
  EXPECT_EQ(list.beginnings(), 3);
  EXPECT_EQ(list.path(1)[0], list.path(0)[0]);
  EXPECT_TRUE(list.path(2).empty());
  EXPECT_EQ(list.path(4)[0], list.path(0)[0]);
  EXPECT_NE(list.path(3)[0], list.path(0)[0]);
}

TEST(RankAnswers, EqualsThePlainPath) {
  const SmallDecoder small(20);
  at::manual_seed(4);
  const QuestionStates questions = SmallDecoder::questions({3, 5, 1});
  const AnswerPaths list(kAnswerIds);
  const at::Tensor plain = plain_answer_log_probs(small.decoder(), questions, kAnswerIds);
  const std::vector<RankedAnswers> ranked = rank_answers(small.decoder(), questions, list, {});
  ASSERT_EQ(ranked.size(), 3U);
  for (std::int64_t q = 0; q < 3; ++q) {
    const RankedAnswers& of = ranked[static_cast<std::size_t>(q)];
    ASSERT_EQ(of.answers.size(), kAnswerIds.size());
    const at::Tensor shares = plain[q].to(at::kDouble).softmax(0);
    for (std::size_t i = 0; i < of.answers.size(); ++i) {
      EXPECT_NEAR(of.log_probs[i], plain[q][of.answers[i]].item<double>(), 2e-5);
      EXPECT_NEAR(of.probabilities[i], shares[of.answers[i]].item<double>(), 2e-5);
      if (i > 0) {
        EXPECT_LE(of.log_probs[i], of.log_probs[i - 1]);
      }
    }
    EXPECT_NEAR(std::accumulate(of.probabilities.begin(), of.probabilities.end(), 0.0), 1.0, 1e-12);
    // The answer that stands twice: the lower index first.
    const auto place = [&](std::int64_t answer) {
      return std::find(of.answers.begin(), of.answers.end(), answer) - of.answers.begin();
    };
    EXPECT_EQ(place(9), place(3) + 1);
  }
}

TEST(RankAnswers, KeepsTheLikeliestFirstTokens) {
  const SmallDecoder small(20);
  at::manual_seed(5);
  const QuestionStates questions = SmallDecoder::questions({2, 4});
  AnswerIds first_only;
  for (const auto& answer : kAnswerIds) first_only.push_back({answer[0], answer[1]});
  const at::Tensor first = plain_answer_log_probs(small.decoder(), questions, first_only);
  const at::Tensor plain = plain_answer_log_probs(small.decoder(), questions, kAnswerIds);
  for (const AnswerRank rank : {AnswerRank::kExact, AnswerRank::kReleased}) {
    const auto ranked = rank_answers(small.decoder(), questions, AnswerPaths(kAnswerIds), {.k = 4, .rank = rank});
    for (std::int64_t q = 0; q < 2; ++q) {
      std::vector<std::int64_t> order(kAnswerIds.size());
      std::iota(order.begin(), order.end(), 0);
      // Answers with the same first token differ by rounding at most: sorted by that token's value once.
      const auto value = [&](std::int64_t a) {
        std::size_t same = 0;
        while (first_only[same] != first_only[static_cast<std::size_t>(a)]) ++same;
        return first[q][static_cast<std::int64_t>(same)].item<double>();
      };
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return value(a) > value(b); });
      std::vector<std::int64_t> kept = ranked[static_cast<std::size_t>(q)].answers;
      for (std::size_t i = 0; i < kept.size(); ++i) {
        const double again = rank == AnswerRank::kReleased ? first[q][kept[i]].item<double>() : 0.0;
        EXPECT_NEAR(ranked[static_cast<std::size_t>(q)].log_probs[i], plain[q][kept[i]].item<double>() + again, 3e-5);
      }
      std::sort(kept.begin(), kept.end());
      order.resize(4);
      std::sort(order.begin(), order.end());
      EXPECT_EQ(kept, order);
    }
  }
}

TEST(RankAnswers, SaysWhichQuestionHasNoFiniteAnswer) {
  SmallDecoder small(20);
  QuestionStates questions = SmallDecoder::questions({3, 2, 4});
  questions.states.slice(0, 3, 5).fill_(NAN);
  const AnswerPaths list(kAnswerIds);
  const std::vector<RankedAnswers> ranked = rank_answers(small.decoder(), questions, list, {.k = 3});
  ASSERT_EQ(ranked.size(), 3U);
  EXPECT_TRUE(ranked[0].finite() && !ranked[1].finite() && ranked[2].finite());
  EXPECT_EQ(ranked[1].answers.size(), 3U);
  EXPECT_TRUE(std::isnan(ranked[1].log_probs[2]) && std::isnan(ranked[1].probabilities[0]));
  // The others' are as they are without it.
  const QuestionStates last{questions.states.slice(0, 5), {4}};
  EXPECT_EQ(rank_answers(small.decoder(), last, list, {.k = 3}).front().answers, ranked[2].answers);

  const std::vector<GeneratedAnswer> generated = generate_answers(small.decoder(), questions, {.max_tokens = 3});
  EXPECT_TRUE(std::isnan(generated[1].log_prob) && generated[1].ids.empty());
  EXPECT_TRUE(std::isfinite(generated[0].log_prob) && std::isfinite(generated[2].log_prob));
}

}  // namespace
}  // namespace vicha
