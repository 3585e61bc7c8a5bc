// Aligned heads inside a model: pooled features by loops, the sum with the projections, the same for packed and padded
// texts, and models without them.
#include "models/aligned_heads.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "models/vicha.h"
#include "nn/norm.h"

namespace vicha {
namespace {

ModelOptions with_heads(bool normalise) {
  ModelOptions m;
  m.vit = {24, 8, 12, 1, 2};
  m.vit.picture = {PictureInput::kFeatures, 2, 3, 7};
  m.text.vocabulary = 40;
  m.text.max_positions = 12;
  m.text.cls_id = 2;
  m.text.sep_id = 3;
  m.text.width = 16;
  m.text.heads = 4;
  m.text.inner = 24;
  m.text.text_layers = 1;
  m.text.fusion_layers = 1;
  m.concepts.layers = 1;
  m.embed_dim = 10;
  m.queue_size = 4;
  m.heads.enabled = true;
  m.heads.image_blocks = 2;
  m.heads.text_width_factor = 1;
  m.heads.normalise_text = normalise;
  return m;
}

class AlignedHeadsTest : public testing::TestWithParam<bool> {
 protected:
  AlignedHeadsTest() : model_(with_heads(GetParam()), 3) {
    at::manual_seed(2);
    const at::NoGradGuard guard;
    ParameterStore& store = model_.parameters();
    for (std::size_t i = 0; i < store.parameters().size(); ++i) {
      if (store.parameters()[i].in("heads")) store.value(i).normal_(0.0, 0.3);
    }
    const AlignedHeads& own = heads();
    own.image_moments().set(at::randn({7}), at::rand({7}) + 0.5);
    own.text_moments().set(at::randn({16}) * 0.1, at::rand({16}) + 0.5);
    pictures_ = at::randn({3, 6, 7});
    texts_ = {at::randint(5, 40, {3, 5}, at::kLong), {5, 2, 1}};
  }
  const AlignedHeads& heads() const { return *model_.online().heads; }
  at::Tensor value(const std::string& name) const { return model_.parameters().parameter(name).value; }

  /// The formula of nn/head.h in plain operations.
  at::Tensor plain_head(const std::string& head, const at::Tensor& x, std::int64_t blocks) const {
    at::Tensor stream = at::linear(x, value(head + ".embed.weight"), value(head + ".embed.bias"));
    for (std::int64_t i = 0; i < blocks; ++i) {
      const std::string b = head + ".blocks." + std::to_string(i) + ".";
      const at::Tensor normed = at::layer_norm(stream, {10}, value(b + "norm.weight"), value(b + "norm.bias"), 1e-6);
      const at::Tensor inner = at::gelu(at::linear(normed, value(b + "fc1.weight"), value(b + "fc1.bias")));
      stream = stream + at::linear(inner, value(b + "fc2.weight"), value(b + "fc2.bias"));
    }
    return stream / stream.norm(2, {1}, true);
  }

  Vicha model_;
  at::Tensor pictures_;
  Tokens texts_;
};

TEST_P(AlignedHeadsTest, PicturesAreTheMeanOfTheirPatchesBesideTheClassToken) {
  const at::NoGradGuard guard;
  const Encoders& online = model_.online();
  const ImageStates states = online.encode_image({patch_rows(pictures_, model_.options().vit), 3}, Dropout());
  at::Tensor mean = at::zeros({3, 7});
  for (std::int64_t n = 0; n < 6; ++n) mean = mean + pictures_.select(1, n) / 6.0;
  const Standardisation& moments = heads().image_moments();
  const at::Tensor head = plain_head("image_head", (mean - moments.mean) / moments.deviation, 2);
  const at::Tensor projected = at::linear(states.cls, value("vision_proj.weight"), value("vision_proj.bias"));
  EXPECT_TRUE(at::allclose(online.image_embedding(states), head + projected, 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(online.image_features(states), unit_rows(head + projected), 1e-4, 1e-5));
  // The head's rows have length 1, so that the projection is what it is beside 1.
  EXPECT_TRUE(at::allclose(heads().image(mean).norm(2, {1}), at::ones({3}), 1e-5));
}

TEST_P(AlignedHeadsTest, TextsAreTheMeanOfTheirTokensPackedOrPadded) {
  const at::NoGradGuard guard;
  const Encoders& online = model_.online();
  for (const bool padded : {false, true}) {
    SCOPED_TRACE(padded);
    const TextStates states = online.encode_text(
        padded ? PackedText::padded(texts_, at::kCPU) : PackedText::packed(texts_, at::kCPU), Dropout());
    at::Tensor mean = at::zeros({3, 16});
    for (std::size_t i = 0; i < 3; ++i) {
      at::Tensor sum = at::zeros({16});
      for (std::int64_t j = 0; j < texts_.lengths[i]; ++j) sum = sum + states.states[states.pack.begin[i] + j];
      sum = sum / static_cast<double>(texts_.lengths[i]);
      mean[static_cast<std::int64_t>(i)].copy_(GetParam() ? sum / sum.norm() : sum);
    }
    const Standardisation& moments = heads().text_moments();
    const at::Tensor head = plain_head("text_head", (mean - moments.mean) / moments.deviation, 1);
    const at::Tensor projected = at::linear(states.cls, value("text_proj.weight"), value("text_proj.bias"));
    EXPECT_TRUE(at::allclose(online.text_embedding(states), head + projected, 1e-4, 1e-5));
  }
}

TEST_P(AlignedHeadsTest, ConceptsAreReadAsATextAndAdded) {
  const at::NoGradGuard guard;
  ModelOptions weighed = model_.options();
  weighed.heads.concept_weight = 0.4;
  Vicha model(weighed, 3);
  for (std::size_t i = 0; i < model_.parameters().parameters().size(); ++i) {
    model.parameters().value(i).copy_(model_.parameters().value(i));
  }
  const AlignedHeads& own = *model.online().heads;
  own.image_moments().set(heads().image_moments().mean, heads().image_moments().deviation);
  own.text_moments().set(heads().text_moments().mean, heads().text_moments().deviation);

  const TextOptions& text = weighed.text;
  // Three words, one word between [CLS] and [SEP], and none.
  const Tokens concepts{at::tensor({text.cls_id, std::int64_t{7}, std::int64_t{9}, std::int64_t{11},  //
                                    text.cls_id, std::int64_t{8}, text.sep_id, text.pad_id,           //
                                    text.cls_id, text.sep_id, text.pad_id, text.pad_id},
                                   at::kLong)
                            .view({3, 4}),
                        {4, 3, 2}};
  ImageInput input{patch_rows(pictures_, weighed.vit), 3, concepts};
  const ImageStates states = model.online().encode_image(input, Dropout());
  const ImageStates plain = model_.online().encode_image(input, Dropout());
  EXPECT_FALSE(plain.concept_text.defined());
  EXPECT_TRUE(at::equal(plain.states, states.states));
  const TextStates words = model_.online().encode_text(PackedText::packed(concepts, at::kCPU), Dropout());
  const at::Tensor added = model.online().image_embedding(states) - model_.online().image_embedding(plain);
  EXPECT_TRUE(
      at::allclose(added.slice(0, 0, 2), heads().text(words.states, words.pack).slice(0, 0, 2) * 0.4, 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(added[2], at::zeros({10}), 0, 1e-6)) << "no concept says nothing";
  EXPECT_TRUE(at::allclose(added.norm(2, {1}), at::tensor({0.4f, 0.4f, 0.0f}), 1e-4, 1e-5));

  input.concept_text = states.concept_text;
  EXPECT_TRUE(at::equal(model.online().image_embedding(model.online().encode_image(input, Dropout())),
                        model.online().image_embedding(states)));
}

INSTANTIATE_TEST_SUITE_P(MeanOrNormalised, AlignedHeadsTest, testing::Bool());

TEST(AlignedHeads, FreezeAloneAndAreNotThereUnlessAskedFor) {
  Vicha with(with_heads(false), 1);
  with.freeze("aligned_heads");
  EXPECT_FALSE(with.parameters().parameter("image_head.embed.weight").value.requires_grad());
  EXPECT_TRUE(with.parameters().parameter("vision_proj.weight").value.requires_grad());
  ModelOptions off = with_heads(false);
  off.heads.enabled = false;
  const Vicha without(off, 1);
  EXPECT_FALSE(without.parameters().has_parameter("image_head.embed.weight"));
  EXPECT_FALSE(without.online().heads.has_value());
}

TEST(AlignedHeads, WeighConceptsOnlyWhereThereAreHeadsAndConcepts) {
  ModelOptions m = with_heads(false);
  m.heads.concept_weight = 0.5;
  m.check();
  m.concepts.enabled = false;
  EXPECT_THROW(m.check(), UsageError);
  m.concepts.enabled = true;
  m.heads.enabled = false;
  EXPECT_THROW(m.check(), UsageError);
}

TEST(AlignedHeads, NeedFeaturesOfPatches) {
  ModelOptions pixels = with_heads(false);
  pixels.vit.picture = {};
  EXPECT_THROW(pixels.check(), UsageError);
}

}  // namespace
}  // namespace vicha
