#include "tasks/vqa/network/generate_answers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tasks/vqa/network/decoder_test_support.h"

namespace vicha {
namespace {

/// The decoder's words for what follows `ids`, as training computes them; what is no word left out.
at::Tensor next_answer_words(const SmallDecoder& small, const QuestionStates& questions,
                             std::vector<std::int64_t> ids) {
  const bool first = ids.size() == 1;
  ids.push_back(small.options.sep_id);
  const AnswerRows rows({padded_answers({ids}), {0}, {}}, questions.lengths, at::kCPU);
  at::Tensor logp = answer_logits(small.decoder(), questions, rows, Dropout())[rows.lengths[0] - 1].log_softmax(0);
  for (const std::int64_t id : {small.options.pad_id, small.options.cls_id, small.options.mask_id})
    logp[id] = -INFINITY;
  if (first) logp[small.options.sep_id] = -INFINITY;
  return logp;
}

TEST(GenerateAnswers, GreedyTakesTheLikeliestTokenEachTime) {
  const at::NoGradGuard guard;
  const SmallDecoder small(12);
  for (int seed = 0; seed < 6; ++seed) {
    at::manual_seed(seed);
    const QuestionStates questions = SmallDecoder::questions({3});
    const GeneratedAnswer answer = generate_answers(small.decoder(), questions, {.beams = 1, .max_tokens = 5}).front();
    std::vector<std::int64_t> ids = {small.options.cls_id};
    double log_prob = 0;
    bool finished = false;
    for (int i = 0; i < 6 && !finished; ++i) {
      const at::Tensor logp = next_answer_words(small, questions, ids);
      std::int64_t token = logp.argmax().item<std::int64_t>();
      if (i == 5 && token != small.options.sep_id) break;
      log_prob += logp[token].item<double>();
      finished = token == small.options.sep_id;
      if (!finished) ids.push_back(token);
    }
    ids.erase(ids.begin());
    EXPECT_EQ(answer.ids, ids);
    EXPECT_EQ(answer.finished, finished);
    EXPECT_NEAR(answer.log_prob, log_prob, 2e-5);
  }
}

TEST(GenerateAnswers, WideBeamFindsTheBestOfAll) {
  const at::NoGradGuard guard;
  const SmallDecoder small(8);  // four words
  for (int seed = 0; seed < 4; ++seed) {
    at::manual_seed(100 + seed);
    const QuestionStates questions = SmallDecoder::questions({2, 3});
    std::vector<std::vector<std::int64_t>> texts;
    for (std::int64_t a = 4; a < 8; ++a) {
      texts.push_back({1, a, 2});
      for (std::int64_t b = 4; b < 8; ++b) {
        texts.push_back({1, a, b, 2});
        for (std::int64_t c = 4; c < 8; ++c) texts.push_back({1, a, b, c, 2});
      }
    }
    const at::Tensor plain = plain_answer_log_probs(small.decoder(), questions, texts);
    const auto answers = generate_answers(small.decoder(), questions, {.beams = 64, .max_tokens = 3});
    for (std::int64_t q = 0; q < 2; ++q) {
      const auto best = static_cast<std::size_t>(plain[q].argmax().item<std::int64_t>());
      const GeneratedAnswer& answer = answers[static_cast<std::size_t>(q)];
      EXPECT_EQ(answer.ids, std::vector<std::int64_t>(texts[best].begin() + 1, texts[best].end() - 1));
      EXPECT_NEAR(answer.log_prob, plain[q].max().item<double>(), 2e-5);
    }
  }
}

}  // namespace
}  // namespace vicha
