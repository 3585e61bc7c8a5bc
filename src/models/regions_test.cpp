// Regions by hand: what of each patch lies in each cell, the pooled states, and regions cut out of a picture.
#include "models/regions.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "models/vicha.h"
#include "nn/position.h"

namespace vicha {
namespace {

using Patches = std::vector<std::int64_t>;

/// A map of features of `rows` x `columns` patches under a grid of regions.
ModelOptions gridded(std::int64_t rows, std::int64_t columns, std::int64_t region_rows, std::int64_t region_columns) {
  ModelOptions options;
  options.vit.picture = {PictureInput::kFeatures, rows, columns, 4};
  options.regions.rows = region_rows;
  options.regions.columns = region_columns;
  return options;
}

void expect_weights(const at::Tensor& weights, const std::vector<std::pair<Patches, double>>& given) {
  at::Tensor expected = at::zeros_like(weights);
  for (const auto& [place, share] : given) expected[place[0]][place[1]] = share;
  EXPECT_TRUE(at::allclose(weights, expected, 1e-6, 1e-7)) << weights << expected;
}

TEST(RegionWeights, OfAGridLikeThePatchesAreThePatches) {
  EXPECT_TRUE(at::equal(region_weights(gridded(6, 6, 6, 6)), at::eye(36)));
  EXPECT_EQ(region_patches(gridded(6, 6, 6, 6))[17], Patches{17});
}

/// Four patches a side under three cells: three quarters of a cell are the outer patch, a quarter is the next; the
/// middle one is halves of the two inner patches.
TEST(RegionWeights, OfThreeCellsOverFourPatches) {
  const at::Tensor weights = region_weights(gridded(4, 4, 3, 3));
  const at::Tensor side = at::tensor({0.75, 0.25, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.25, 0.75}).view({3, 4});
  EXPECT_TRUE(at::allclose(weights, at::kron(side, side).to(at::kFloat), 1e-6, 1e-7));
  EXPECT_TRUE(at::allclose(weights.sum(1), at::ones({9})));
  const std::vector<Patches> touching = region_patches(gridded(4, 4, 3, 3));
  EXPECT_EQ(touching[0], (Patches{0, 1, 4, 5}));
  EXPECT_EQ(touching[4], (Patches{5, 6, 9, 10}));
}

/// A cell of 6 a side is 2/3 of a patch of 4: cells 0, 2, 3, 5 lie within one, 1 and 4 half in each of two.
TEST(RegionWeights, OfSixCellsOverFourPatches) {
  const at::Tensor weights = region_weights(gridded(4, 4, 6, 6));
  ASSERT_EQ(weights.sizes(), (at::IntArrayRef{36, 16}));
  const at::Tensor side = at::tensor({1.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0,
                                      0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 1.0})
                              .view({6, 4});
  EXPECT_TRUE(at::allclose(weights, at::kron(side, side).to(at::kFloat), 1e-6, 1e-7));
  EXPECT_EQ(region_patches(gridded(4, 4, 6, 6))[7], (Patches{0, 1, 4, 5}));
  EXPECT_EQ(region_patches(gridded(4, 4, 6, 6))[14], (Patches{5}));
}

TEST(RegionWeights, OfGridsThatAreNoSquares) {
  // 2 x 3 patches, one row of two cells: a cell is a patch and half of the middle one wide.
  const double outer = 1.0 / 3, inner = 1.0 / 6;
  expect_weights(region_weights(gridded(2, 3, 1, 2)), {{{0, 0}, outer},
                                                       {{0, 1}, inner},
                                                       {{0, 3}, outer},
                                                       {{0, 4}, inner},
                                                       {{1, 1}, inner},
                                                       {{1, 2}, outer},
                                                       {{1, 4}, inner},
                                                       {{1, 5}, outer}});
}

TEST(PoolRegions, IsTheMeanByAreaOfThePatchesAlone) {
  const ModelOptions options = gridded(2, 2, 1, 2);
  // Class token, four patches, a concept; two pictures.
  const at::Tensor states = at::arange(2 * 6 * 2, at::kFloat).view({12, 2});
  const at::Tensor pooled = pool_regions(states, 6, region_weights(options));
  ASSERT_EQ(pooled.sizes(), (at::IntArrayRef{2, 2, 2}));
  // Patches 0 and 2 of picture 0 are rows 1 and 3: (2, 3) and (6, 7).
  EXPECT_TRUE(pooled[0][0].equal(at::tensor({4.0F, 5.0F})));
  EXPECT_TRUE(pooled[0][1].equal(at::tensor({6.0F, 7.0F})));
  EXPECT_TRUE(pooled[1].equal(pooled[0] + 12.0F));
}

TEST(CutRegions, AreThePixelsOfTheCells) {
  RegionOptions regions;
  regions.rows = 1;
  regions.columns = 2;
  regions.region_size = 2;
  const at::Tensor picture = at::arange(3 * 2 * 4, at::kFloat).view({1, 3, 2, 4});
  const at::Tensor cut = cut_regions(picture, regions);
  ASSERT_EQ(cut.sizes(), (at::IntArrayRef{1, 2, 3, 2, 2}));
  EXPECT_TRUE(at::allclose(cut[0][0], picture[0].slice(2, 0, 2)));
  EXPECT_TRUE(at::allclose(cut[0][1], picture[0].slice(2, 2, 4)));
  EXPECT_TRUE(fold_patches(unfold_patches(picture, 2), {1, 2}, 2).equal(picture));
}

ModelOptions cropping() {
  ModelOptions m;
  m.vit = {16, 8, 24, 2, 3};
  m.text.vocabulary = 40;
  m.text.max_positions = 12;
  m.text.width = 16;
  m.text.heads = 4;
  m.text.inner = 24;
  m.text.text_layers = m.text.fusion_layers = 1;
  m.text.dropout = 0.0;
  m.concepts.layers = 1;
  m.concepts.mask_padding = true;
  m.embed_dim = 6;
  m.queue_size = 4;
  m.fusion.kind = FusionKind::kJoint;
  m.regions.rows = 2;
  m.regions.columns = 1;
  m.regions.encode = RegionEncoding::kCrops;
  m.regions.region_size = 16;
  return m;
}

/// Crops of the size of pictures are encoded as pictures are, each with its own tag.
TEST(CropRegions, AreTheClassTokensOfTheCrops) {
  const Vicha model(cropping(), 3);
  const at::NoGradGuard guard;
  at::manual_seed(4);
  const VitOptions& vit = model.options().vit;
  const at::Tensor pictures = at::randn({2, 3, 16, 16}), crops = at::randn({2, 2, 3, 16, 16});
  const Tokens tags{at::randint(5, 40, {4, 3}, at::kLong), {3, 1, 2, 3}};
  ImageInput input{patch_rows(pictures, vit), 2, {at::full({2, 2}, 9, at::kLong), {2, 1}}};
  input.crops = crops;
  input.crop_concepts = tags;
  const ImageStates image = model.online().encode_image(input, Dropout());
  ASSERT_EQ(image.regions.sizes(), (at::IntArrayRef{2, 2, 24}));
  const ImageStates alone = model.online().encode_image({patch_rows(crops.flatten(0, 1), vit), 4, tags}, Dropout());
  EXPECT_TRUE(at::allclose(image.regions.flatten(0, 1), alone.cls, 1e-5, 1e-5));
  EXPECT_EQ(image.fusion_tokens(), 3);
  EXPECT_TRUE(image.fusion_rows().view({2, 3, 24})[1][0].equal(image.cls[1]));

  // Where nobody gives any they are cut out of the picture.
  input.crops = at::Tensor();
  input.crop_concepts = {};
  const ImageStates cut = model.online().encode_image(input, Dropout());
  input.crops = cut_regions(pictures, model.options().regions);
  EXPECT_TRUE(at::allclose(cut.regions, model.online().encode_image(input, Dropout()).regions, 1e-5, 1e-6));
  EXPECT_FALSE(at::allclose(cut.regions, image.regions, 1e-2, 1e-2));
}

/// Smaller crops have fewer patches, whose positions are interpolated.
TEST(CropRegions, MayBeSmallerThanPictures) {
  ModelOptions options = cropping();
  options.regions.region_size = 8;
  const Vicha model(options, 3);
  const at::Tensor pictures = at::randn({1, 3, 16, 16});
  const ImageStates image = model.online().encode_image({patch_rows(pictures, options.vit), 1}, Dropout());
  (image.regions * at::randn_like(image.regions)).sum().backward();
  EXPECT_EQ(image.regions.sizes(), (at::IntArrayRef{1, 2, 24}));
  EXPECT_GT(
      model.parameters().parameter("visual_encoder.pos_embed").value.grad()[0].slice(0, 1).abs().min().item<float>(),
      0.0F);
}

std::string refusal_of(const ModelOptions& options) {
  try {
    options.check();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(RegionOptions, AreRefusedByName) {
  EXPECT_EQ(refusal_of(cropping()), "");
  ModelOptions options = cropping();
  options.regions.region_size = 12;
  EXPECT_NE(refusal_of(options).find("model.regions.region_size = 12"), std::string::npos);
  options = cropping();
  options.vit.picture = {PictureInput::kFeatures, 2, 2, 8};
  EXPECT_NE(refusal_of(options).find("model.regions.encode"), std::string::npos);
  options = cropping();
  options.text.fusion_layers = 0;
  EXPECT_NE(refusal_of(options).find("model.fusion.kind"), std::string::npos);
}

}  // namespace
}  // namespace vicha
