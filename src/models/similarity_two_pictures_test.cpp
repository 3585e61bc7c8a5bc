// Words compared with the patches of two pictures (model.fusion.images = 2): text by text, the largest cosines found by
// loops, rows and pictures changed before they reach a fusion that knows nothing of similarities.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "models/fusion.h"
#include "models/vicha.h"

namespace vicha {
namespace {

constexpr std::int64_t kPictures = 3, kTexts = 4;

ModelOptions two_pictures(bool similarity) {
  ModelOptions m;
  m.vit = {16, 8, 12, 1, 2};
  m.text.vocabulary = 30;
  m.text.max_positions = 10;
  m.text.width = 12;
  m.text.heads = 2;
  m.text.inner = 16;
  m.text.text_layers = 1;
  m.text.fusion_layers = 2;
  m.text.dropout = 0.0;
  m.concepts.layers = 1;
  m.concepts.mask_padding = true;
  m.embed_dim = 5;
  m.queue_size = 4;
  m.fusion.images = 2;
  m.fusion.similarity = similarity;
  return m;
}

/// The largest of some numbers that are not empty, by a loop.
at::Tensor largest(const std::vector<at::Tensor>& numbers) {
  at::Tensor best = numbers.front();
  for (const at::Tensor& number : numbers) {
    if (number.item<double>() > best.item<double>()) best = number;
  }
  return best;
}

class TwoPictures : public testing::Test {
 protected:
  TwoPictures() : model_(two_pictures(true), 5), untold_(two_pictures(false), 5) {
    at::manual_seed(4);
    {
      // Cross-attention that is alive, and the same in both models.
      const at::NoGradGuard guard;
      for (const ParameterStore::Released& r : untold_.parameters().released()) {
        if (!r.name.ends_with("weight")) continue;
        at::Tensor drawn = untold_.parameters().view(r);
        drawn.normal_(0.0, 0.25);
        for (const ParameterStore::Released& own : model_.parameters().released()) {
          if (own.name == r.name) model_.parameters().view(own).copy_(drawn);
        }
      }
      for (const char* name : {"word_similarity", "word_similarity_1", "patch_similarity"})
        at::Tensor(parameter(name)).normal_();
    }
    pictures_ = at::randn({kPictures, 3, 16, 16});
    concepts_ = {at::randint(5, 30, {kPictures, 3}, at::kLong), {3, 1, 2}};
    texts_ = {at::randint(5, 30, {kTexts, 5}, at::kLong), {5, 2, 4, 1}};  // the last is a [CLS] alone
  }
  const at::Tensor& parameter(const std::string& name) const { return model_.parameters().parameter(name).value; }

  ImageStates image() const {
    return model_.online().encode_image({patch_rows(pictures_, model_.options().vit), kPictures, concepts_}, Dropout());
  }
  TextStates text(bool padded) const {
    return model_.online().encode_text(
        padded ? PackedText::padded(texts_, at::kCPU) : PackedText::packed(texts_, at::kCPU), Dropout());
  }
  /// Different pictures, the order turned round, one picture twice.
  static FusionPlan plan(const PackedText& pack) {
    const std::vector<std::int64_t> pictures_of[] = {{0, 2}, {2, 0}, {1, 1}, {2, 1}};
    FusionPlan plan;
    for (std::int64_t i = 0; i < kTexts; ++i) {
      plan.sequences.push_back(FusionPlan::sequence(
          pack, i, 0, pictures_of[i], i == 3 ? std::vector<std::int64_t>{0} : std::vector<std::int64_t>{0, 1}));
    }
    return plan;
  }

  at::Tensor fused(bool padded, at::Tensor* all_rows = nullptr) const {
    const ImageStates pictures = image();
    const TextStates texts = text(padded);
    const Bert& bert = model_.online().text;
    return fuse(bert, texts.states, bert.image_kv(pictures.states), plan(texts.pack), FusedImages(pictures), Dropout(),
                all_rows);
  }

  at::Tensor plain(bool padded) const {
    const ImageStates pictures = image();
    const TextStates texts = text(padded);
    const Bert& bert = untold_.online().text;
    const std::int64_t patches = model_.options().vit.patches(), tokens = pictures.tokens;
    const auto unit = [&](const at::Tensor& state, const std::string& map) {
      const at::Tensor mapped = at::mv(parameter(map + ".weight"), state) + parameter(map + ".bias");
      return mapped / mapped.norm();
    };
    std::vector<at::Tensor> all;
    for (FusionPlan::Sequence s : plan(texts.pack).sequences) {
      at::Tensor rows = texts.states.slice(0, s.begin, s.begin + s.rows);
      const at::Tensor untouched = rows;
      std::vector<at::Tensor> changed;
      FusedImages both;
      for (std::size_t c = 0; c < 2; ++c) {
        const at::Tensor states = pictures.states.slice(0, s.images[c] * tokens, (s.images[c] + 1) * tokens);
        std::vector<std::vector<at::Tensor>> cosine;  // [word][patch]
        for (std::int64_t j = 1; j < s.real; ++j) {
          auto& of_word = cosine.emplace_back();
          for (std::int64_t n = 0; n < patches; ++n)
            of_word.push_back(at::dot(unit(untouched[j], "word_proj"), unit(states[1 + n], "patch_proj")));
        }
        std::vector<at::Tensor> of_rows(static_cast<std::size_t>(s.rows), at::zeros({})),
            of_tokens(static_cast<std::size_t>(tokens), at::zeros({}));
        for (std::size_t j = 0; j < cosine.size(); ++j) {
          of_rows[1 + j] = largest(cosine[j]);
          of_rows[0] = of_rows[0] + of_rows[1 + j] / static_cast<double>(cosine.size());
        }
        for (std::int64_t n = 0; n < patches && !cosine.empty(); ++n) {
          std::vector<at::Tensor> of_patch;
          for (const auto& of_word : cosine) of_patch.push_back(of_word[static_cast<std::size_t>(n)]);
          of_tokens[static_cast<std::size_t>(1 + n)] = largest(of_patch);
        }
        rows = rows + at::outer(at::stack(of_rows), parameter(c == 0 ? "word_similarity" : "word_similarity_1"));
        changed.push_back(states + at::outer(at::stack(of_tokens), parameter("patch_similarity")));
        both.add(tokens, pictures.real[static_cast<std::size_t>(s.images[c])]);
      }
      s.begin = 0;
      s.images = {0, 1};
      all.push_back(fuse(bert, rows, bert.image_kv(at::cat(changed)), FusionPlan{{s}}, both, Dropout()));
    }
    return at::cat(all);
  }

  Vicha model_, untold_;
  at::Tensor pictures_;
  Tokens concepts_, texts_;
};

TEST_F(TwoPictures, EqualChangedStatesTextByText) {
  for (const bool padded : {true, false}) {
    const at::NoGradGuard guard;
    const at::Tensor expected = plain(padded);
    EXPECT_TRUE(at::allclose(fused(padded), expected, 1e-4, 1e-5)) << padded;
    at::Tensor all;
    EXPECT_TRUE(at::allclose(fused(padded, &all), expected, 1e-4, 1e-5)) << "all rows, " << padded;
  }
}

TEST_F(TwoPictures, GradientsAreThoseOfThePlainPath) {
  std::vector<at::Tensor> learned;
  for (const char* name : {"word_proj.weight", "word_proj.bias", "patch_proj.weight", "patch_proj.bias",
                           "word_similarity", "word_similarity_1", "patch_similarity", "visual_encoder.norm.weight",
                           "text_encoder.bert.embeddings.LayerNorm.weight"})
    learned.push_back(parameter(name));
  const at::Tensor ours = fused(false), expected = plain(false), weights = at::randn(ours.sizes());
  const auto a = torch::autograd::grad({(ours * weights).sum()}, learned),
             b = torch::autograd::grad({(expected * weights).sum()}, learned);
  for (std::size_t i = 0; i < learned.size(); ++i) {
    EXPECT_GT(b[i].norm().item<double>(), 1e-4) << i;
    EXPECT_LT((a[i] - b[i]).norm().item<double>() / b[i].norm().item<double>(), 1e-3) << i;
  }
}

TEST_F(TwoPictures, EachPictureHasAVectorOfItsOwn) {
  const at::NoGradGuard guard;
  const at::Tensor before = fused(false);
  at::Tensor(parameter("word_similarity_1")).zero_();
  const at::Tensor without = fused(false);
  EXPECT_FALSE(at::allclose(before, without, 1e-2, 1e-2));
  // A [CLS] alone has no word that could be like anything.
  EXPECT_TRUE(at::allclose(before[6], without[6], 1e-5, 1e-6));
  at::Tensor(parameter("word_similarity_1")).copy_(parameter("word_similarity"));
  EXPECT_FALSE(at::allclose(before, fused(false), 1e-2, 1e-2));
}

}  // namespace
}  // namespace vicha
