#include "tasks/vqa/network/answer_similarity.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "tasks/vqa/network/vqa_net.h"

namespace vicha {
namespace {

ModelOptions looking_model(bool similarity = true) {
  ModelOptions m;
  m.vit = {.image_res = 16, .patch = 8, .width = 12, .depth = 1, .heads = 2};
  m.text.vocabulary = 30;
  m.text.max_positions = 10;
  m.text.width = 16;
  m.text.heads = 2;
  m.text.inner = 16;
  m.text.text_layers = 1;
  m.text.fusion_layers = 1;
  m.text.dropout = 0.0;
  m.text.pad_id = 0;
  m.text.cls_id = 1;
  m.text.sep_id = 2;
  m.text.mask_id = 3;
  m.concepts.enabled = false;
  m.embed_dim = 8;
  m.queue_size = 4;
  m.fusion.similarity = similarity;
  return m;
}

/// Three questions about two pictures, and answers of two words, of one, of none.
struct AnswersAndPatches : testing::Test {
  AnswersAndPatches() {
    at::manual_seed(5);
    const at::NoGradGuard guard;
    for (const char* name : {"answer_query.weight", "answer_key.weight", "word_proj.weight", "patch_proj.weight"})
      at::Tensor(parameter(name)).normal_();
    pictures = at::randn({2, 3, 16, 16});
    image = model.online().encode_image({patch_rows(pictures, model.options().vit), 2, {}}, Dropout());
    text = model.online().encode_text(PackedText::packed({at::randint(5, 30, {3, 4}, at::kLong), {4, 2, 3}}, at::kCPU),
                                      Dropout());
    fused = {at::randn({9, 16}), {4, 2, 3}};
  }
  const at::Tensor& parameter(const std::string& name) const { return model.parameters().parameter(name).value; }
  AskedQuestions asked() const { return {fused, text, image, image_of}; }

  Vicha model{looking_model(), 3};
  VqaNet net{model, /*similarity=*/true};
  const AnswerSimilarity& likeness = *net.similarity();
  at::Tensor pictures;
  ImageStates image;
  TextStates text;
  QuestionStates fused;
  std::vector<std::int64_t> image_of{0, 1, 0};
  Tokens answers{at::tensor({1, 7, 9, 2, 1, 8, 2, 0, 1, 2, 0, 0}, at::kLong).view({3, 4}), {4, 3, 2}};
};

TEST_F(AnswersAndPatches, NothingIsGainedAtFirst) {
  const at::Tensor gains = likeness.gains(asked(), likeness.answers(answers));
  EXPECT_EQ(gains.sizes(), at::IntArrayRef({3, 3}));
  EXPECT_EQ(gains.abs().max().item<float>(), 0.0F);
  const at::Tensor scale = parameter("answer_scale.weight");
  const at::Tensor slope = torch::autograd::grad({gains.sum()}, {scale}).front();
  EXPECT_GT(slope.abs().max().item<float>(), 0.0F) << "and yet it is learnt";
}

TEST_F(AnswersAndPatches, EqualThePlainWay) {
  const at::NoGradGuard guard;
  at::Tensor(parameter("answer_scale.weight")).normal_();
  at::Tensor(parameter("answer_flag")).fill_(0.3);
  const at::Tensor looks = likeness.looks(asked()), gains = likeness.gains(asked(), likeness.answers(answers));
  const WordPatchSimilarity& maps = *model.online().similarity;
  const auto linear = [&](const std::string& name, const at::Tensor& x) {
    return at::mv(parameter(name + ".weight"), x) + parameter(name + ".bias");
  };
  const std::int64_t begins[] = {0, 4, 6};
  for (std::int64_t q = 0; q < 3; ++q) {
    const at::Tensor cls = fused.states[begins[q]], query = linear("answer_query", cls);
    const at::Tensor words = maps.words(text.states.slice(0, begins[q] + 1, begins[q] + fused.lengths[q]));
    const at::Tensor patches = image.patches[image_of[q]];
    std::vector<double> scores;
    for (std::int64_t n = 0; n < 4; ++n) {
      const at::Tensor state = image.states[image_of[q] * image.tokens + 1 + n];
      const double named = at::mv(words, patches[n]).max().item<double>();
      scores.push_back(at::dot(linear("answer_key", state), query).item<double>() / std::sqrt(8.0) + 10 * 0.3 * named);
    }
    const at::Tensor share = at::tensor(scores, at::kFloat).softmax(0);
    EXPECT_TRUE(at::allclose(looks[q], share, 1e-4, 1e-6)) << q;
    const at::Tensor seen = at::mv(patches.t(), share);
    for (std::int64_t a = 0; a < 3; ++a) {
      const std::int64_t count = answers.lengths[static_cast<std::size_t>(a)] - 2;  // of words
      if (count == 0) {
        EXPECT_EQ(gains[q][a].item<float>(), 0.0F);
        continue;
      }
      const Tokens one{answers.ids.slice(0, a, a + 1).slice(1, 0, 1 + count).contiguous(), {1 + count}};
      const TextStates read = model.online().encode_text(PackedText::packed(one, at::kCPU), Dropout());
      const at::Tensor mean = maps.words(read.states).slice(0, 1).mean(0);
      const double cosine = (at::dot(mean, seen) / mean.norm() / seen.norm()).item<double>();
      EXPECT_NEAR(gains[q][a].item<double>(), 10 * linear("answer_scale", cls).item<double>() * cosine, 1e-3);
    }
  }
}

/// With decoders that know nothing of the pictures, who must tell four pictures apart by the one patch that differs.
TEST_F(AnswersAndPatches, LearnsToNameWhatIsLookedAt) {
  const std::int64_t count = 4;
  at::Tensor shown = at::zeros({count, 3, 16, 16});
  for (std::int64_t i = 0; i < count; ++i)
    shown[i].slice(1, 8 * (i / 2), 8 * (i / 2) + 8).fill_(i % 2 == 0 ? 1.5 : -1.5);
  const Tokens questions{at::tensor({1, 7}, at::kLong).repeat({count, 1}), {2, 2, 2, 2}};
  const Tokens names{at::tensor({1, 10, 2, 1, 11, 2, 1, 12, 2, 1, 13, 2}, at::kLong).view({count, 3}), {3, 3, 3, 3}};
  const std::vector<std::int64_t> own{0, 1, 2, 3};
  double first = 0, last = 0;
  for (int step = 0; step < 300; ++step) {
    const PairStates pairs =
        encode_pairs(model.online(), shown, {}, PackedText::packed(questions, at::kCPU), FusedRows::kAll, Dropout());
    const QuestionStates states{pairs.fused, pairs.lengths};
    const at::Tensor gains = likeness.gains({states, pairs.text, pairs.image, own}, likeness.answers(names));
    const at::Tensor loss = answer_gain_loss(at::zeros({count, count}), gains, at::eye(count));
    (step == 0 ? first : last) = loss.item<double>();
    std::vector<at::Tensor> learned;
    for (const char* name : {"answer_query.weight", "answer_key.weight", "answer_scale.weight", "answer_scale.bias",
                             "answer_flag", "word_proj.weight", "patch_proj.weight", "patch_proj.bias"})
      learned.push_back(parameter(name));
    const auto slopes = torch::autograd::grad({loss}, learned);
    const at::NoGradGuard guard;
    for (std::size_t i = 0; i < learned.size(); ++i) learned[i].sub_(slopes[i] * 0.05);
  }
  EXPECT_NEAR(first, std::log(4.0), 1e-4) << "all answers alike";
  EXPECT_LT(last, 0.5 * first);
}

TEST_F(AnswersAndPatches, RankingTakesGainsIn) {
  RankedAnswers ranked{{4, 0, 2}, {-1.0, -1.5, -3.0}, {}};
  ranked.probabilities = {0.5, 0.3, 0.2};
  const std::vector<float> gains = {0.0F, 9.0F, 4.0F, 9.0F, -1.0F};
  add_gains(ranked, gains.data());
  EXPECT_EQ(ranked.answers, (std::vector<std::int64_t>{2, 0, 4}));
  EXPECT_NEAR(ranked.log_probs[0], 1.0, 1e-6);
  EXPECT_NEAR(std::accumulate(ranked.probabilities.begin(), ranked.probabilities.end(), 0.0), 1.0, 1e-9);
  EXPECT_NEAR(ranked.probabilities[1] / ranked.probabilities[0], std::exp(-2.5), 1e-6);
  const std::vector<float> broken(5, NAN);
  add_gains(ranked, broken.data());
  EXPECT_FALSE(ranked.finite());
}

TEST_F(AnswersAndPatches, LossOfAStepIsThatOfTheDistinctAnswers) {
  const at::NoGradGuard guard;
  at::Tensor(parameter("answer_scale.weight")).normal_();
  const VqaNet::Questions questions{pictures, {}, {at::tensor({1, 7, 9, 1, 8, 9}, at::kLong).view({2, 3}), {3, 3}}};
  // Answer 7 9 is given to both, with another weight.
  GivenAnswers given{{at::tensor({1, 7, 9, 2, 1, 8, 2, 0, 1, 7, 9, 2}, at::kLong).view({3, 4}), {4, 3, 4}},
                     {0, 0, 1},
                     {0.75F, 0.25F, 1.0F}};
  const VqaNet::Step step = net.step(questions, given, 0.0, Dropout());
  const PairStates pairs = encode_pairs(model.online(), pictures, {}, PackedText::packed(questions.texts, at::kCPU),
                                        FusedRows::kAll, Dropout());
  const QuestionStates states{pairs.fused, pairs.lengths};
  const std::vector<std::int64_t> own{0, 1};
  const at::Tensor gains = likeness.gains({states, pairs.text, pairs.image, own},
                                          likeness.answers({given.tokens.ids.slice(0, 0, 2), {4, 3}}));
  const at::Tensor first_rows = step.logits.index_select(0, at::tensor({0, 5}, at::kLong)).log_softmax(1);
  const at::Tensor logp = (first_rows.index_select(1, at::tensor({7, 8}, at::kLong)) + gains).log_softmax(1);
  const double expected = -(0.75 * logp[0][0] + 0.25 * logp[0][1] + logp[1][0]).item<double>() / 2;
  EXPECT_NEAR(step.gain_loss.item<double>(), expected, 1e-5);
}

TEST(AnswersAndPatchesOf, AModelThatComparesNothingAreRefused) {
  Vicha model(looking_model(false), 3);
  try {
    const VqaNet net(model, /*similarity=*/true);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("model.fusion.similarity"), std::string::npos) << error.what();
  }
  Vicha other(looking_model(false), 3);
  EXPECT_EQ(VqaNet(other).similarity(), nullptr);
}

}  // namespace
}  // namespace vicha
