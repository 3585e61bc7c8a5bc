#include "models/pair_scorer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "distributed/thread_group_test_support.h"
#include "models/fusion.h"
#include "nn/vit_block.h"

namespace vicha {
namespace {

ModelOptions retrieval_model() {
  ModelOptions m;
  m.vit = {32, 8, 24, 3, 3};
  m.text.vocabulary = 60;
  m.text.max_positions = 20;
  m.text.width = 24;
  m.text.heads = 4;
  m.text.inner = 40;
  m.text.text_layers = 2;
  m.text.fusion_layers = 2;
  m.text.cls_id = 2;
  m.text.mask_id = 4;
  m.concepts.layers = 1;
  m.concepts.mask_padding = true;
  m.embed_dim = 10;
  m.queue_size = 8;
  return m;
}

Tokens retrieval_tokens(std::int64_t count, std::int64_t longest, Rng& rng) {
  Tokens t;
  t.ids = at::zeros({count, longest}, at::kLong);
  for (std::int64_t i = 0; i < count; ++i) {
    t.lengths.push_back(1 + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(longest))));
    for (std::int64_t j = 0; j < t.lengths.back(); ++j) {
      t.ids[i][j] = j == 0 ? 2 : static_cast<std::int64_t>(5 + rng.below(55));
    }
  }
  return t;
}

/// Eleven images in batches of four, thirty texts.
class RerankTest : public testing::Test {
 protected:
  static constexpr std::int64_t kImages = 11, kBatch = 4, kTexts = 30, kKTest = 3;

  RerankTest()
      : model_(retrieval_model(), 7), head_(add_linear(model_.parameters(), "itm_head.", 24, 2, Init::kLinearDefault)) {
    at::manual_seed(5);
    Rng rng(5);
    image_ = at::randn({kImages, 3, 32, 32});
    concepts_ = retrieval_tokens(kImages, 6, rng);
    texts_ = retrieval_tokens(kTexts, 9, rng);
  }

  ScoredImages images(std::int64_t first, std::int64_t count) const {
    const auto begin = concepts_.lengths.begin() + first;
    return {image_.narrow(0, first, count), {concepts_.ids.narrow(0, first, count), {begin, begin + count}}};
  }

  void fill(PairScorer& scorer) const {
    for (std::int64_t i = 0; i < kImages; i += kBatch) {
      const ScoredImages batch = images(i, std::min(kBatch, kImages - i));
      scorer.add_images(batch.image, batch.concepts);
    }
    scorer.add_texts(texts_);
  }

  PairScorer::Scores scores(const ImageMemory& memory) {
    PairScorer scorer(model_, head_, memory);
    fill(scorer);
    return scorer.rerank(kKTest);
  }

  Vicha model_;
  Linear head_;
  at::Tensor image_;
  Tokens concepts_, texts_;
};

TEST_F(RerankTest, WhatIsMadeAgainIsTheSame) {
  const PairScorer::Scores whole = scores({});
  // Of 1 + 16 + 6 tokens each; room for nothing, for the first batch, for all.
  const std::int64_t batch_bytes = kBatch * 23 * 24 * 4;
  using Asked = std::vector<std::pair<std::int64_t, std::int64_t>>;
  const std::vector<std::pair<std::int64_t, Asked>> cases = {
      {0, {{0, 4}, {4, 4}, {8, 3}}}, {batch_bytes, {{4, 4}, {8, 3}}}, {3 * batch_bytes, {}}};
  for (const auto& [bytes, expected] : cases) {
    Asked asked;
    const PairScorer::Scores found = scores({bytes, [&](std::int64_t first, std::int64_t count) {
                                               asked.emplace_back(first, count);
                                               return images(first, count);
                                             }});
    EXPECT_TRUE(at::equal(found.i2t, whole.i2t)) << bytes;
    EXPECT_TRUE(at::equal(found.t2i, whole.t2i)) << bytes;
    EXPECT_TRUE(at::equal(found.joint_i2t, whole.joint_i2t)) << bytes;
    EXPECT_EQ(asked, expected) << bytes;
  }
}

/// Where words and patches are compared, or are one sequence with the picture, pairs together score as each alone does.
class RerankOf : public testing::TestWithParam<FusionOptions> {};

TEST_P(RerankOf, PairsScoreAsAlone) {
  ModelOptions options = retrieval_model();
  options.fusion = GetParam();
  options.regions.rows = 2;
  Vicha model(options, 7);
  const Linear head = add_linear(model.parameters(), "itm_head.", 24, 2, Init::kLinearDefault);
  const at::NoGradGuard guard;
  at::manual_seed(5);
  for (const char* name : {"word_similarity", "patch_similarity"}) {
    if (options.fusion.similarity) at::Tensor(model.parameters().parameter(name).value).normal_();
  }
  Rng rng(5);
  const at::Tensor pictures = at::randn({3, 3, 32, 32});
  const Tokens concepts = retrieval_tokens(3, 6, rng), texts = retrieval_tokens(8, 9, rng);
  PairScorer scorer(model, head);
  scorer.add_images(pictures, concepts);
  scorer.add_texts(texts);
  const std::vector<std::pair<std::int64_t, std::int64_t>> pairs = {{0, 1}, {0, 7}, {2, 1}, {2, 2}, {1, 5}};
  const at::Tensor together = scorer.match(pairs);
  const ImageStates image = model.online().encode_image({patch_rows(pictures, options.vit), 3, concepts}, Dropout());
  const TextStates text = model.online().encode_text(PackedText::packed(texts, at::kCPU), Dropout());
  const Bert& bert = model.online().text;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const FusionPlan plan{{FusionPlan::sequence(text.pack, pairs[i].second, 0, pairs[i].first, {0})}};
    const at::Tensor cls =
        fuse(bert, text.states, bert.image_kv(image.fusion_rows()), plan, FusedImages(image), Dropout());
    EXPECT_TRUE(at::allclose(together[static_cast<std::int64_t>(i)], head(cls)[0], 1e-4, 1e-5)) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Fusions, RerankOf,
                         testing::Values(FusionOptions{.similarity = true}, FusionOptions{.kind = FusionKind::kJoint},
                                         FusionOptions{.kind = FusionKind::kJoint, .similarity = true}));

/// Of class token and regions alone, however many patches there are.
TEST_F(RerankTest, JointFusionKeepsRegions) {
  ModelOptions options = retrieval_model();
  options.fusion.kind = FusionKind::kJoint;
  options.regions.rows = options.regions.columns = 2;
  const Vicha model(options, 7);
  const auto scored = [&](const ImageMemory& memory) {
    PairScorer scorer(model, head_, memory);
    fill(scorer);
    return scorer.rerank(kKTest);
  };
  const PairScorer::Scores whole = scored({});
  std::int64_t asked = 0;
  const auto again = [&](std::int64_t first, std::int64_t count) {
    ++asked;
    return images(first, count);
  };
  // Eleven pictures of 1 + 4 rows.
  EXPECT_TRUE(at::equal(scored({11 * 5 * 24 * 4, again}).i2t, whole.i2t));
  EXPECT_EQ(asked, 0);
  EXPECT_TRUE(at::equal(scored({11 * 5 * 24 * 4 - 1, again}).i2t, whole.i2t));
  EXPECT_EQ(asked, 1);
}

TEST_F(RerankTest, WithoutASourceAllIsKept) { EXPECT_TRUE(at::equal(scores({0, {}}).i2t, scores({}).i2t)); }

/// Of each row: cosine over temperature and log-odds where matching has a score, then the others in the order of the
/// cosine.
void expect_joint(const at::Tensor& joint, const at::Tensor& matching, const at::Tensor& contrast,
                  const at::Tensor& odds) {
  ASSERT_EQ(joint.sizes(), contrast.sizes());
  for (std::int64_t row = 0; row < contrast.size(0); ++row) {
    const at::Tensor matched = matching[row].ne(-100);
    const at::Tensor found = joint[row].masked_select(matched);
    EXPECT_TRUE(at::allclose(found, (contrast[row] + odds[row]).masked_select(matched), 1e-4, 1e-4)) << row;
    const at::Tensor behind = joint[row].masked_select(matched.logical_not());
    if (behind.numel() == 0) continue;
    EXPECT_LT(behind.max().item<float>(), found.min().item<float>()) << row;
    const at::Tensor order = contrast[row].masked_select(matched.logical_not()).argsort();
    EXPECT_TRUE(behind.index_select(0, order).diff().ge(0).all().item<bool>()) << row;
  }
}

TEST_F(RerankTest, JointAddsTheOddsOfMatchingToTheContrast) {
  // Odds large enough to turn orders round, within the k best and against the others.
  const at::NoGradGuard guard;
  head_.weight.mul_(200.0);
  PairScorer scorer(model_, head_);
  fill(scorer);
  std::vector<std::pair<std::int64_t, std::int64_t>> all;
  for (std::int64_t i = 0; i < kImages; ++i) {
    for (std::int64_t t = 0; t < kTexts; ++t) all.emplace_back(i, t);
  }
  const at::Tensor logits = scorer.match(all);
  ASSERT_EQ(logits.sizes(), (at::IntArrayRef{kImages * kTexts, 2}));
  const at::Tensor odds = (logits.select(1, 1) - logits.select(1, 0)).view({kImages, kTexts});
  const at::Tensor contrast = scorer.similarities() / model_.temperature();
  EXPECT_GT(odds.std().item<double>(), contrast.std().item<double>());
  for (const std::int64_t k : {std::int64_t{1}, kKTest, kTexts + 5}) {
    const PairScorer::Scores found = scorer.rerank(k);
    expect_joint(found.joint_i2t, found.i2t, contrast, odds);
    expect_joint(found.joint_t2i, found.t2i, contrast.t(), odds.t());
  }
}

TEST_F(RerankTest, AGroupSharesThePairs) {
  const PairScorer::Scores alone = scores({});
  const std::vector<std::string> errors = run_ranks(3, [&](const Group& group) {
    PairScorer scorer(model_, head_, {}, group);
    fill(scorer);
    const PairScorer::Scores shared = scorer.rerank(kKTest);
    EXPECT_TRUE(at::allclose(shared.i2t, alone.i2t, 1e-5, 1e-5));
    EXPECT_TRUE(at::allclose(shared.joint_t2i, alone.joint_t2i, 1e-5, 1e-5));
  });
  EXPECT_EQ(errors, std::vector<std::string>(3));
}

}  // namespace
}  // namespace vicha
