// Plans of the fusion pass laid out, and the pass itself: reading fewer rows, another order of the sequences and hidden
// rows change no number.
#include "models/fusion.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "models/vocabulary_head.h"

namespace vicha {
namespace {

TextOptions fusion_text(std::int64_t fusion_layers) {
  TextOptions options;
  options.vocabulary = 30;
  options.max_positions = 8;
  options.width = 16;
  options.heads = 4;
  options.inner = 24;
  options.text_layers = 1;
  options.fusion_layers = fusion_layers;
  options.dropout = 0.0;
  return options;
}

FusedImages three_images() {
  FusedImages images;
  for (const std::int64_t visible : {4, 2, 3}) images.add(4, visible);
  return images;
}

using Numbers = std::vector<std::int64_t>;

std::vector<Numbers> numbers_of(const SegmentsPtr& segments) {
  std::vector<Numbers> list;
  for (const Segment& s : segments->list) list.push_back({s.q_begin, s.q_len, s.k_begin, s.k_len});
  return list;
}

Numbers row_numbers(const at::Tensor& rows) {
  return Numbers(rows.data_ptr<std::int64_t>(), rows.data_ptr<std::int64_t>() + rows.numel());
}

TEST(FusionPlan, TakesSequencesOfPackedAndPaddedTexts) {
  const Tokens tokens{at::ones({2, 3}, at::kLong), {2, 3}};
  const FusionPlan::Sequence packed = FusionPlan::sequence(PackedText::packed(tokens, at::kCPU), 1, 10, 4, {0, 2});
  EXPECT_EQ((Numbers{packed.begin, packed.rows, packed.real, packed.images.at(0)}), (Numbers{12, 3, 3, 4}));
  EXPECT_EQ(packed.read, (Numbers{0, 2}));
  const FusionPlan::Sequence padded = FusionPlan::sequence(PackedText::padded(tokens, at::kCPU), 0, 10, 1);
  EXPECT_EQ((Numbers{padded.begin, padded.rows, padded.real, padded.images.at(0)}), (Numbers{10, 3, 2, 1}));
  EXPECT_EQ((FusionPlan{{packed, padded, packed}}).rows_read(), 4);
  EXPECT_EQ(FusionPlan().rows_read(), 0);
}

/// Image 2 first, then 0; rows 5 to 7 of the texts (the last one padding), then row 1, of which nothing is read.
TEST(FusionPlan, IsLaidOutSequenceAfterSequence) {
  const FusionPlan plan{{{5, 3, 2, {2}, {0, 1}}, {1, 1, 1, {1}, {}}, {2, 2, 2, {0}, {1}}}};
  const FusionLayout layout = lay_out(plan, three_images(), at::kCPU);
  EXPECT_EQ(row_numbers(layout.gather), (Numbers{5, 6, 7, 1, 2, 3}));
  EXPECT_EQ(row_numbers(layout.read), (Numbers{0, 1, 5}));
  EXPECT_EQ(numbers_of(layout.every.self), (std::vector<Numbers>{{0, 3, 0, 2}, {3, 1, 3, 1}, {4, 2, 4, 2}}));
  // By ascending image, each seen as far as its real rows go.
  EXPECT_EQ(numbers_of(layout.every.cross.at(0)), (std::vector<Numbers>{{4, 2, 0, 4}, {3, 1, 4, 2}, {0, 3, 8, 3}}));
  EXPECT_FALSE(layout.every.rows.defined());
  EXPECT_EQ(layout.some.self, layout.every.self);
  EXPECT_EQ(layout.some.cross, layout.every.cross);
  EXPECT_TRUE(layout.some.rows.is_same(layout.read));
  EXPECT_EQ(numbers_of(layout.some.rows_self), (std::vector<Numbers>{{0, 2, 0, 2}, {2, 1, 4, 2}}));
  EXPECT_EQ(numbers_of(layout.some.rows_cross), (std::vector<Numbers>{{2, 1, 0, 4}, {0, 2, 8, 3}}));
  EXPECT_EQ(layout.some.rows_self->q_rows, 3);
  EXPECT_EQ(layout.some.rows_self->k_rows, 6);
  EXPECT_EQ(layout.some.rows_cross->k_rows, 12);
}

class FusionPassOf : public testing::TestWithParam<std::int64_t> {};

TEST_P(FusionPassOf, EqualsOneSequenceAtATime) {
  at::manual_seed(4);
  ParameterStore store(3);
  const Bert bert(store, "text_encoder.", fusion_text(GetParam()), 12);
  const at::Tensor texts = at::randn({8, 16}), pictures = at::randn({12, 12});
  const FusedImages images = three_images();
  const FusionPlan plan{{{5, 3, 2, {2}, {0, 1}}, {0, 3, 3, {1}, {2}}, {5, 3, 2, {0}, {1}}, {3, 2, 2, {2}, {0}}}};
  const auto kv = bert.image_kv(pictures);
  const auto close = [](const at::Tensor& a, const at::Tensor& b) { return at::allclose(a, b, 1e-4, 1e-5); };

  const at::Tensor joined = fuse(bert, texts, kv, plan, images, Dropout());
  ASSERT_EQ(joined.size(0), plan.rows_read());
  at::Tensor all_rows;
  EXPECT_TRUE(close(joined, fuse(bert, texts, kv, plan, images, Dropout(), &all_rows)));
  EXPECT_EQ(all_rows.size(0), 11);

  std::vector<at::Tensor> alone;
  for (const FusionPlan::Sequence& s : plan.sequences) {
    alone.push_back(fuse(bert, texts, kv, FusionPlan{{s}}, images, Dropout()));
  }
  EXPECT_TRUE(close(joined, at::cat(alone)));

  // What stands in padded rows of a text, and in the hidden ones of a picture, is seen by nobody.
  at::Tensor other_texts = texts.clone(), other_pictures = pictures.clone();
  other_texts[7].fill_(9.0);
  other_pictures.slice(0, 6, 8).fill_(9.0);
  other_pictures[11].fill_(9.0);
  EXPECT_TRUE(close(joined, fuse(bert, other_texts, bert.image_kv(other_pictures), plan, images, Dropout())));
  if (GetParam() == 0) return;
  // What is real is seen.
  other_pictures[10].fill_(9.0);
  EXPECT_FALSE(close(joined, fuse(bert, other_texts, bert.image_kv(other_pictures), plan, images, Dropout())));
}

INSTANTIATE_TEST_SUITE_P(Layers, FusionPassOf, testing::Values(0, 1, 2, 3));

/// Two pictures of different sizes: the copies of a layer in turn, by hand, with the keys and values of the first.
TEST(FusionOfTwoImages, RunsTheCopiesOfEachLayerInTurn) {
  at::manual_seed(6);
  ParameterStore store(3);
  const TextOptions options = fusion_text(2);
  const std::int64_t copies = 2;
  const Bert bert(store, "text_encoder.", options, 12, {.images = copies});
  ParameterStore own(4);
  std::vector<BertLayer> layers;
  const std::string prefix = "text_encoder.bert.encoder.layer.";
  const BertLayerShape shape{options.width, options.heads, options.inner, 12};
  for (std::int64_t i = 1; i <= 4; ++i) layers.emplace_back(own, prefix + std::to_string(i) + ".", shape);
  {
    const at::NoGradGuard guard;
    for (const ParameterStore::Released& r : store.released()) {
      for (const ParameterStore::Released& o : own.released()) {
        if (o.name == r.name) own.view(o).copy_(store.view(r).normal_(0.0, 0.3));
      }
    }
    for (const ParameterStore::Released& o : own.released()) {  // what a later name of shared weights was given
      for (const ParameterStore::Released& r : store.released()) {
        if (o.name == r.name) own.view(o).copy_(store.view(r));
      }
    }
  }
  const at::Tensor texts = at::randn({5, 16}), first = at::randn({4, 12}), second = at::randn({3, 12});
  FusedImages images;
  images.add(4, 4);
  images.add(3, 2);
  const FusionPlan plan{{{0, 5, 5, {0, 1}, {0}}}};
  const at::Tensor fused = fuse(bert, texts, bert.image_kv(at::cat({first, second})), plan, images, Dropout());

  const std::vector<std::int64_t> rows{5}, block{0};
  at::Tensor x = texts;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const at::Tensor picture = i % 2 == 0 ? first : second.slice(0, 0, 2);
    x = layers[i].attend_self(x, Segments::packed(rows), Dropout());
    const auto cross = Segments::cross(rows, block, 1, picture.size(0));
    x = layers[i].mlp(layers[i].attend_image(x, layers[i].image_kv(picture), cross, Dropout()), Dropout());
  }
  EXPECT_TRUE(at::allclose(fused, x.slice(0, 0, 1), 1e-4, 1e-5));

  // Keys and values stand there once, under both names.
  EXPECT_TRUE(store.has_parameter(prefix + "1.crossattention.self.kv.weight"));
  EXPECT_FALSE(store.has_parameter(prefix + "2.crossattention.self.kv.weight"));
  std::int64_t aliases = 0;
  for (const ParameterStore::Released& r : store.released()) {
    if (!r.is_alias) continue;
    ++aliases;
    const bool fourth = r.name.starts_with(prefix + "4.");
    EXPECT_TRUE(fourth || r.name.starts_with(prefix + "2.")) << r.name;
    EXPECT_TRUE(store.view(r).is_alias_of(store
                                              .parameter(prefix + (fourth ? "3" : "1") + ".crossattention.self.kv" +
                                                         (r.name.ends_with("bias") ? ".bias" : ".weight"))
                                              .value))
        << r.name;
  }
  EXPECT_EQ(aliases, 8);
}

TEST(VocabularyHead, IsTheFormulaWithTheTiedWeight) {
  at::manual_seed(5);
  ParameterStore store(3);
  const Bert bert(store, "text_encoder.", fusion_text(1), 12);
  const VocabularyHead head(store, "text_encoder.", bert.embeddings());
  const std::string prefix = "text_encoder.cls.predictions.",
                    word = "text_encoder.bert.embeddings.word_embeddings.weight";
  const auto value = [&](const std::string& name) { return store.parameter(prefix + name).value; };
  {
    const at::NoGradGuard guard;
    value("bias").copy_(at::randn({30}));
    value("transform.dense.bias").copy_(at::randn({16}));
    value("transform.LayerNorm.bias").copy_(at::randn({16}));
  }
  const at::Tensor rows = at::randn({5, 16});
  const at::Tensor hidden = at::gelu(at::linear(rows, value("transform.dense.weight"), value("transform.dense.bias")));
  const at::Tensor normed =
      at::layer_norm(hidden, {16}, value("transform.LayerNorm.weight"), value("transform.LayerNorm.bias"), kBertEps);
  const at::Tensor expected = at::linear(normed, store.parameter(word).value, value("bias")), logits = head(rows);
  EXPECT_TRUE(at::allclose(logits, expected, 1e-4, 1e-5));
  EXPECT_EQ(logits.scalar_type(), at::kFloat);
  EXPECT_EQ(head(at::empty({0, 16})).sizes(), (at::IntArrayRef{0, 30}));

  logits.sum().backward();
  EXPECT_GT(store.parameter(word).value.grad().abs().sum().item<double>(), 0.0);
  std::size_t aliases = 0;
  for (const ParameterStore::Released& r : store.released()) {
    if (!r.is_alias) continue;
    ++aliases;
    EXPECT_TRUE(
        store.view(r).is_alias_of(r.name == prefix + "decoder.weight" ? store.parameter(word).value : value("bias")))
        << r.name;
  }
  EXPECT_EQ(aliases, 2u);
}

}  // namespace
}  // namespace vicha
