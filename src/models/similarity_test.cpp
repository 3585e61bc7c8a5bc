// Similarities of words and patches, by loops; and the fusion that is told them, as if every text had a picture of its
// own whose states had been changed.
#include "models/similarity.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "models/fusion.h"
#include "models/vicha.h"

namespace vicha {
namespace {

ModelOptions similar_model(bool similarity) {
  ModelOptions m;
  m.vit = {24, 8, 20, 2, 4};
  m.text.vocabulary = 40;
  m.text.max_positions = 12;
  m.text.width = 16;
  m.text.heads = 4;
  m.text.inner = 24;
  m.text.text_layers = 1;
  m.text.fusion_layers = 2;
  m.text.dropout = 0.0;
  m.concepts.layers = 1;
  m.embed_dim = 6;
  m.queue_size = 4;
  m.fusion.similarity = similarity;
  return m;
}

/// Sequences of 4, 1 (a [CLS] alone) and 3 rows, the last with one row of padding.
const std::vector<ComparedSequence> kSequences = {{2, 4, 4, 1}, {0, 1, 1, 0}, {6, 3, 2, 1}};

TEST(Compare, IsTheLargestCosineOfRealWords) {
  at::manual_seed(1);
  const at::Tensor words = at::randn({9, 5}), patches = at::randn({2, 3, 5});
  const Similarities found = compare(words, patches, kSequences);
  ASSERT_EQ(found.rows_T.numel(), 8);
  ASSERT_EQ(found.patches_GN.sizes(), (at::IntArrayRef{3, 3}));
  std::int64_t row = 0;
  for (std::size_t g = 0; g < kSequences.size(); ++g) {
    const ComparedSequence& s = kSequences[g];
    const at::Tensor all = at::mm(words.slice(0, s.begin, s.begin + s.rows), patches[s.image].t());
    for (std::int64_t n = 0; n < 3; ++n) {
      const double best = s.real > 1 ? all.slice(0, 1, s.real).select(1, n).max().item<double>() : 0.0;
      EXPECT_NEAR(found.patches_GN[static_cast<std::int64_t>(g)][n].item<double>(), best, 1e-5);
    }
    double sum = 0;
    for (std::int64_t j = 1; j < s.real; ++j) sum += all[j].max().item<double>();
    const double mean = s.real > 1 ? sum / static_cast<double>(s.real - 1) : 0.0;
    for (std::int64_t j = 0; j < s.rows; ++j, ++row) {
      const double expected = j == 0 ? mean : j < s.real ? all[j].max().item<double>() : 0.0;
      EXPECT_NEAR(found.rows_T[row].item<double>(), expected, 1e-5) << g << ' ' << j;
    }
  }
}

class SimilarFusion : public testing::Test {
 protected:
  SimilarFusion() : model_(similar_model(true), 3) {
    at::manual_seed(2);
    pictures_ = at::randn({2, 3, 24, 24});
    concepts_ = {at::full({2, 2}, 9, at::kLong), {2, 1}};
    ids_ = at::randint(5, 40, {3, 4}, at::kLong);
  }
  void learn() {
    const at::NoGradGuard guard;
    at::Tensor(parameter("word_similarity")).normal_();
    at::Tensor(parameter("patch_similarity")).normal_();
  }
  const at::Tensor& parameter(const std::string& name) const { return model_.parameters().parameter(name).value; }

  /// Texts 0 and 2 with picture 1, text 1 with picture 0.
  FusionPlan plan(const PackedText& pack) const {
    const std::int64_t image_of[] = {1, 0, 1};
    FusionPlan plan;
    for (std::int64_t i = 0; i < 3; ++i)
      plan.sequences.push_back(FusionPlan::sequence(pack, i, 0, image_of[i], {0, 1}));
    return plan;
  }
  ImageStates image(const Vicha& model) const {
    return model.online().encode_image({patch_rows(pictures_, model.options().vit), 2, concepts_}, Dropout());
  }
  TextStates text(const Vicha& model) const {
    return model.online().encode_text(PackedText::padded({ids_, {4, 2, 3}}, at::kCPU), Dropout());
  }
  at::Tensor fused(const Vicha& model) const {
    const ImageStates pictures = image(model);
    const TextStates texts = text(model);
    const Bert& bert = model.online().text;
    return fuse(bert, texts.states, bert.image_kv(pictures.states), plan(texts.pack), FusedImages(pictures), Dropout());
  }
  /// Text by text, the picture's states changed before its keys and values are made.
  at::Tensor plain() const {
    const ImageStates pictures = image(model_);
    const TextStates texts = text(model_);
    const WordPatchSimilarity& similarity = *model_.online().similarity;
    const Bert& bert = model_.online().text;
    std::vector<at::Tensor> all;
    for (FusionPlan::Sequence s : plan(texts.pack).sequences) {
      const at::Tensor words = similarity.words(texts.states.slice(0, s.begin, s.begin + s.real));
      const at::Tensor cosine = at::mm(words, pictures.patches[s.image].t());
      const at::Tensor best = cosine.amax(1).slice(0, 1);
      const at::Tensor gains = at::cat({best.mean().view({1}), best, at::zeros({s.rows - s.real})});
      const at::Tensor rows =
          texts.states.slice(0, s.begin, s.begin + s.rows) + at::outer(gains, similarity.word_vector());
      const at::Tensor of_patches = at::cat({at::zeros({1}), cosine.slice(0, 1).amax(0), at::zeros({2})});
      const at::Tensor states =
          pictures.states.view({2, pictures.tokens, -1})[s.image] + at::outer(of_patches, similarity.patch_vector());
      FusedImages one;
      one.tokens = pictures.tokens;
      one.real = {pictures.tokens};
      s.begin = s.image = 0;
      all.push_back(fuse(bert, rows, bert.image_kv(states), FusionPlan{{s}}, one, Dropout()));
    }
    return at::cat(all);
  }

  Vicha model_;
  at::Tensor pictures_, ids_;
  Tokens concepts_;
};

TEST_F(SimilarFusion, BeginsAsTheFusionWithoutIt) {
  const Vicha without(similar_model(false), 3);
  EXPECT_FALSE(without.parameters().has_parameter("word_proj.weight"));
  EXPECT_TRUE(at::allclose(fused(model_), fused(without), 1e-5, 1e-6));
  learn();
  EXPECT_FALSE(at::allclose(fused(model_), fused(without), 1e-2, 1e-2));
}

TEST_F(SimilarFusion, EqualsChangedStatesTextByText) {
  learn();
  std::vector<at::Tensor> learned;
  for (const char* name :
       {"word_proj.weight", "patch_proj.weight", "word_similarity", "patch_similarity", "visual_encoder.norm.weight",
        "text_encoder.bert.embeddings.LayerNorm.weight", "word_proj.bias", "patch_proj.bias"}) {
    learned.push_back(parameter(name));
  }
  const at::Tensor ours = fused(model_), expected = plain();
  EXPECT_TRUE(at::allclose(ours, expected, 1e-4, 1e-5));
  const at::Tensor weights = at::randn(ours.sizes());
  const auto a = torch::autograd::grad({(ours * weights).sum()}, learned),
             b = torch::autograd::grad({(expected * weights).sum()}, learned);
  for (std::size_t i = 0; i < learned.size(); ++i) {
    EXPECT_GT(b[i].norm().item<double>(), 1e-4) << i;
    EXPECT_LT((a[i] - b[i]).norm().item<double>() / b[i].norm().item<double>(), 1e-3) << i;
  }
}

TEST_F(SimilarFusion, HasCopiesThatFollow) {
  EXPECT_TRUE(at::equal(parameter("word_proj_m.weight"), parameter("word_proj.weight")));
  learn();
  model_.update_momentum();
  EXPECT_TRUE(at::allclose(parameter("patch_similarity_m"), parameter("patch_similarity") * 0.005, 1e-3, 1e-6));
  model_.freeze("similarity");
  EXPECT_FALSE(parameter("word_similarity").requires_grad());
}

}  // namespace
}  // namespace vicha
