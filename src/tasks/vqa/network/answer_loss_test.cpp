#include "tasks/vqa/network/answer_loss.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tasks/vqa/network/decoder_test_support.h"

namespace vicha {
namespace {

TEST(AnswerLoss, SumsTokensWeighsAnswersAndDividesByQuestions) {
  // Two questions; the first has two answers, of one and of two tokens before [SEP].
  const GivenAnswers answers{padded_answers({{1, 4, 2}, {1, 4, 5, 2}, {1, 2}}), {0, 0, 1}, {0.75F, 0.25F, 0.5F}};
  const AnswerRows rows(answers, {3, 2}, at::kCPU);
  EXPECT_EQ(rows.lengths, (std::vector<std::int64_t>{2, 3, 1}));
  EXPECT_TRUE(at::equal(rows.targets, at::tensor({4, 2, 4, 5, 2, 2}, at::kLong)));
  EXPECT_TRUE(at::equal(rows.positions, at::tensor({0, 1, 0, 1, 2, 0}, at::kLong)));
  ASSERT_EQ(rows.cross->list.size(), 3U);
  EXPECT_EQ(rows.cross->list[2].k_begin, 3);
  EXPECT_EQ(rows.cross->k_rows, 5);
  // Over six words every token has probability 1/6.
  const at::Tensor losses = token_losses(at::zeros({6, 6}), rows.targets, {}, 0.0);
  const double nats = std::log(6.0);
  EXPECT_TRUE(at::allclose(sum_by_answer(losses, rows), at::tensor({2 * nats, 3 * nats, nats}).to(at::kFloat)));
  EXPECT_NEAR(weighted_answer_loss(losses, rows, 2).item<double>(), (0.75 * 2 + 0.25 * 3 + 0.5) * nats / 2, 1e-6);
}

TEST(AnswerLoss, MixesInTheTeachersWords) {
  const at::Tensor logits = at::log(at::tensor({3.0F, 1.0F})).view({1, 2});
  const at::Tensor target = at::tensor({0}, at::kLong), teacher = at::zeros({1, 2});
  const double hard = -std::log(0.75), soft = -0.5 * (std::log(0.75) + std::log(0.25));
  EXPECT_NEAR(token_losses(logits, target, teacher, 0.4).item<double>(), 0.6 * hard + 0.4 * soft, 1e-6);
  EXPECT_NEAR(token_losses(logits, target, {}, 0.0).item<double>(), hard, 1e-6);
}

}  // namespace
}  // namespace vicha
