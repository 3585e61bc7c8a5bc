#include "tasks/downstream/network/attention_maps.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "models/vicha.h"
#include "nn/vit_block.h"

namespace vicha {
namespace {

ModelOptions small_model(std::int64_t fusion_layers) {
  ModelOptions m;
  m.vit = {.image_res = 32, .patch = 16, .width = 16, .depth = 2, .heads = 2};
  m.text = {.vocabulary = 40,
            .max_positions = 12,
            .width = 16,
            .heads = 2,
            .inner = 32,
            .text_layers = 1,
            .fusion_layers = fusion_layers,
            .dropout = 0.0,
            .pad_id = 0,
            .cls_id = 1,
            .sep_id = 2,
            .mask_id = 3};
  m.embed_dim = 8;
  m.queue_size = 16;
  return m;
}

struct AttentionMaps : testing::Test {
  Vicha model{small_model(2), 3};
  Linear head = add_linear(model.parameters(), "head.", 16, 2, Init::kLinearDefault);
  at::Tensor pictures = at::sin(at::arange(2 * 3 * 32 * 32, at::kFloat)).view({2, 3, 32, 32});
  Tokens texts{at::tensor({1, 7, 9, 1, 8, 0, 1, 11, 12}, at::kLong).view({3, 3}), {3, 2, 3}};
  Tokens concepts{at::tensor({1, 20, 1, 0}, at::kLong).view({2, 2}), {2, 1}};
  std::vector<std::int64_t> image_of{0, 0, 1};

  ImageInput input() { return {patch_rows(pictures, model.options().vit), 2, concepts}; }
};

TEST_F(AttentionMaps, WatchingChangesNoState) {
  const at::NoGradGuard guard;
  const Encoders& e = model.online();
  const ImageStates image = e.encode_image(input(), Dropout());
  AttentionWatch block(1);
  EXPECT_TRUE(
      at::allclose(e.encode_image(input(), Dropout(), 0, nullptr, {}, &block).states, image.states, 1e-5, 1e-5));
  const TextStates text = e.encode_text(PackedText::packed(texts, at::kCPU), Dropout());
  const auto kv = e.text.image_kv(image.states);
  const FusedImages fused(image);
  const at::Tensor plain = fuse_texts(e, text, kv, fused, image_of, FusedRows::kAll, Dropout());
  for (const std::int64_t layer : {0, 1}) {
    AttentionWatch watch(layer);
    const at::Tensor seen = fuse_texts(e, text, kv, fused, image_of, FusedRows::kAll, Dropout(), &watch);
    EXPECT_TRUE(at::allclose(seen, plain, 1e-5, 1e-5)) << layer;
    EXPECT_TRUE(seen.requires_grad());
  }
  EXPECT_FALSE(plain.requires_grad());
}

/// Texts together have the maps that each has alone; the mean over the padded length is theirs.
TEST_F(AttentionMaps, AreEachTextsOwn) {
  const at::NoGradGuard guard;
  const Encoders& e = model.online();
  const ImageStates image = e.encode_image(input(), Dropout());
  const auto kv = e.text.image_kv(image.states);
  const auto maps_of = [&](const Tokens& tokens, const std::vector<std::int64_t>& of, std::int64_t layer) {
    const TextStates text = e.encode_text(PackedText::packed(tokens, at::kCPU), Dropout());
    return matching_maps(e, head, text, kv, FusedImages(image), of, layer);
  };
  for (const std::int64_t layer : {1, 2}) {
    const at::Tensor all = maps_of(texts, image_of, layer);
    ASSERT_EQ(all.sizes(), at::IntArrayRef({8, 4}));
    EXPECT_GT(all.max().item<float>(), 0.0F);
    EXPECT_GE(all.min().item<float>(), 0.0F);
    const at::Tensor alone = maps_of({texts.ids.slice(0, 1, 2), {2}}, {0}, layer);
    EXPECT_TRUE(at::allclose(all.slice(0, 3, 5), alone, 1e-4, 1e-9)) << layer;
    EXPECT_TRUE(at::allclose(text_maps(all, texts.lengths, 3)[1] * 3, alone.sum(0), 1e-4, 1e-9));
  }
  // Only [CLS] is read of the last layer.
  EXPECT_EQ(maps_of(texts, image_of, 2).slice(0, 1, 3).abs().max().item<float>(), 0.0F);
}

/// With joint fusion a map is of the regions that its words attend to.
TEST_F(AttentionMaps, OfJointFusionAreOfRegions) {
  const at::NoGradGuard guard;
  ModelOptions options = small_model(3);
  options.fusion.kind = FusionKind::kJoint;
  options.regions.rows = 3;
  options.regions.columns = 2;
  const Vicha joint(options, 3);
  EXPECT_EQ(map_grid(options), (PatchGrid{3, 2}));
  EXPECT_EQ(map_grid(model.options()), (PatchGrid{2, 2}));
  const Encoders& e = joint.online();
  const ImageStates image = e.encode_image(input(), Dropout());
  const auto kv = e.text.image_kv(image.fusion_rows());
  const TextStates text = e.encode_text(PackedText::packed(texts, at::kCPU), Dropout());
  const FusedImages fused(image);
  AttentionWatch watch(1);
  EXPECT_TRUE(at::allclose(fuse_texts(e, text, kv, fused, image_of, FusedRows::kAll, Dropout(), &watch),
                           fuse_texts(e, text, kv, fused, image_of, FusedRows::kAll, Dropout()), 1e-5, 1e-5));
  for (const std::int64_t layer : {1, 2}) {
    const at::Tensor all = matching_maps(e, head, text, kv, fused, image_of, layer);
    ASSERT_EQ(all.sizes(), at::IntArrayRef({8, 6}));
    EXPECT_GT(all.max().item<float>(), 0.0F);
    const TextStates second = e.encode_text(PackedText::packed({texts.ids.slice(0, 1, 2), {2}}, at::kCPU), Dropout());
    const at::Tensor alone = matching_maps(e, head, second, kv, fused, {0}, layer);
    EXPECT_TRUE(at::allclose(all.slice(0, 3, 5), alone, 1e-4, 1e-9)) << layer;
  }

  // Rows and columns of a map whose numbers say which they are: row * 100 + column.
  const std::int64_t rows = 3 * 7 + 8, columns = 7 + 3;
  const at::Tensor numbered = at::arange(rows).unsqueeze(1) * 100 + at::arange(columns);
  const at::Tensor chosen = picture_columns(e, numbered, text);
  const std::vector<std::int64_t> of_words = {7, 8, 9, 17, 18, 26, 27, 28};
  EXPECT_TRUE(chosen.equal(at::tensor(of_words).unsqueeze(1) * 100 + at::arange(1, 7)));
}

TEST_F(AttentionMaps, OfTheContrastAreEachTextsOwn) {
  const Encoders& e = model.online();
  const at::Tensor features = at::cos(at::arange(24, at::kFloat)).view({3, 8});
  const at::Tensor all = contrast_maps(e, model.temperature(), input(), features, image_of, 0);
  ASSERT_EQ(all.sizes(), at::IntArrayRef({3, 4}));
  EXPECT_FALSE(all.requires_grad());
  const at::Tensor second = contrast_maps(e, model.temperature(), input(), features.slice(0, 1, 2), {0}, 0);
  EXPECT_TRUE(at::allclose(all[1], second[0], 1e-4, 1e-9));
  EXPECT_GT(all[1].abs().max().item<float>(), 0.0F);
}

TEST_F(AttentionMaps, LayersAreCountedOverAllOfBert) {
  TextOptions text;
  EXPECT_EQ(usual_map_layer(text), 8);
  EXPECT_EQ(usual_map_layer(model.options().text), 1);
  text.fusion_layers = 1;
  EXPECT_EQ(usual_map_layer(text), 6);
  text.fusion_layers = 6;
  EXPECT_EQ(fusion_layer_of(text, 8), 2);
  EXPECT_THROW(fusion_layer_of(text, 5), UsageError);
  EXPECT_THROW(fusion_layer_of(text, 12), UsageError);
  EXPECT_THROW(contrast_maps(model.online(), model.temperature(), input(), at::zeros({1, 8}), {0}, 2), UsageError);
}

}  // namespace
}  // namespace vicha
