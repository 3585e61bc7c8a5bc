#include "tasks/grounding/network/map_boxes.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "tasks/grounding/network/candidates_head.h"

namespace vicha {
namespace {

constexpr double kNothing = -std::numeric_limits<double>::infinity();

TEST(MapBoxes, OverlapIsOfAreas) {
  const PixelBox a{0, 0, 10, 10}, b{5, 0, 10, 10};
  EXPECT_DOUBLE_EQ(overlap(a, a, GroundingMetric::kExact), 1.0);
  EXPECT_DOUBLE_EQ(overlap(a, b, GroundingMetric::kExact), 50.0 / 150.0);
  EXPECT_DOUBLE_EQ(overlap(a, b, GroundingMetric::kReleased), 50.0 / 150.0);
  // A strip of one pixel is none to the public code.
  EXPECT_DOUBLE_EQ(overlap(a, {9, 0, 10, 10}, GroundingMetric::kExact), 10.0 / 190.0);
  EXPECT_DOUBLE_EQ(overlap(a, {9, 0, 10, 10}, GroundingMetric::kReleased), 0.0);
  EXPECT_DOUBLE_EQ(overlap(a, {20, 20, 1, 1}, GroundingMetric::kExact), 0.0);
}

TEST(MapBoxes, ScoresSumThePixelsOfABox) {
  const at::Tensor map = at::arange(12, at::kFloat).view({3, 4});
  const std::vector<PixelBox> boxes = {{1, 0, 2, 2}, {1.9, 0.2, 1.2, 1.9}, {-3, -1, 4, 2}, {9, 9, 2, 2}, {0, 0, 4, 3}};
  const std::vector<double> scores = box_scores(map, boxes, 0.5);
  EXPECT_NEAR(scores[0], (1 + 2 + 5 + 6) / 2.0, 1e-12);
  EXPECT_NEAR(scores[1], (1 + 2 + 5 + 6) / std::sqrt(1.2 * 1.9), 1e-12);  // int(1.9) … int(3.1), int(0.2) … int(2.1)
  EXPECT_NEAR(scores[2], 0.0 / std::sqrt(8.0), 1e-12);
  EXPECT_EQ(scores[3], kNothing);
  EXPECT_NEAR(scores[4], 66 / std::sqrt(12.0), 1e-12);
  EXPECT_NEAR(box_scores(map, boxes, 0.0)[4], 66, 1e-12);
}

TEST(MapBoxes, EnlargesByCubicConvolution) {
  const at::Tensor map = at::tensor({0.0F, 1.0F, 0.0F, 0.0F}).view({1, 4});
  const at::Tensor large = upsample_map(map, {8, 1});
  // At 2/4 - 0.5 = 0.25 of a sample before and behind it; a = -0.75.
  const double a = -0.75, t = 0.25, near = (a + 2) * t * t * t - (a + 3) * t * t + 1;
  EXPECT_NEAR(large[0][2].item<float>(), near, 1e-6);
  EXPECT_NEAR(large[0][3].item<float>(), near, 1e-6);
  EXPECT_LT(large[0][6].item<float>(), 0.0F);
}

TEST(MapBoxes, TiesAreDrawnNotTakenInOrder) {
  const std::vector<PixelBox> boxes = {{0, 0, 5, 5}, {10, 0, 5, 5}, {20, 0, 5, 5}, {30, 0, 5, 5}};
  std::vector<PixelBox> turned(boxes.rbegin(), boxes.rend());
  const std::vector<double> equal = {1, 1, 1, 0};
  const std::vector<double> turned_scores = {0, 1, 1, 1};
  std::vector<int> hits(4, 0);
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const BoxChoice choice = choose_box(equal, boxes, seed), again = choose_box(turned_scores, turned, seed);
    EXPECT_TRUE(choice.tied && choice.positive);
    EXPECT_EQ(boxes[static_cast<std::size_t>(choice.box)], turned[static_cast<std::size_t>(again.box)]);
    ++hits[static_cast<std::size_t>(choice.box)];
  }
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(hits[static_cast<std::size_t>(i)], 100, 40);
  EXPECT_EQ(hits[3], 0);
  EXPECT_FALSE(choose_box(std::vector<double>{3, 1}, std::span(boxes).first(2), 1).tied);
  EXPECT_EQ(choose_box(std::vector<double>{-1, -2}, std::span(boxes).first(2), 1).box, 0);
  EXPECT_FALSE(choose_box(std::vector<double>{-1, -2}, std::span(boxes).first(2), 1).positive);
  EXPECT_EQ(choose_box({}, {}, 1).box, -1);
  EXPECT_EQ(choose_box(std::vector<double>{kNothing}, std::span(boxes).first(1), 1).box, -1);
}

TEST(MapBoxes, HighestPointAndBordersOfPictures) {
  at::Tensor map = at::zeros({10, 20});
  map[3][15] = 2;
  EXPECT_TRUE(points_into(map, {15, 3, 1, 1}));
  EXPECT_FALSE(points_into(map, {0, 0, 15, 10}));
  EXPECT_TRUE(sticks_out({-2, 0, 5, 5}, {20, 10}));
  EXPECT_FALSE(sticks_out({-0.5, 0, 5, 10.5}, {20, 10}));
  EXPECT_EQ(inside({-2, 8, 5, 5}, {20, 10}), (PixelBox{0, 8, 3, 2}));
  EXPECT_EQ(inside({30, 8, 5, 5}, {20, 10}).width, 0);
}

TEST(MapBoxes, SlidingBoxesCoverThePicture) {
  const PictureSize size{300, 100};
  double best = 0;
  for (const PixelBox& box : sliding_boxes(size)) {
    EXPECT_FALSE(sticks_out(box, size));
    best = std::max(best, overlap(box, {120, 30, 80, 40}, GroundingMetric::kExact));
  }
  EXPECT_GT(best, 0.6);
}

TEST(CandidatesHead, PoolsPatchesByArea) {
  // 2 x 2 patches; the left half, and a box over the middle.
  const at::Tensor boxes = at::tensor({0.0F, 0.0F, 0.5F, 1.0F, 0.25F, 0.25F, 0.5F, 0.25F}).view({1, 2, 4});
  const at::Tensor shares = patch_shares(boxes, 2, 2);
  EXPECT_TRUE(at::allclose(shares[0][0], at::tensor({0.5F, 0.0F, 0.5F, 0.0F}), 0, 1e-6));
  EXPECT_TRUE(at::allclose(shares[0][1], at::tensor({0.5F, 0.5F, 0.0F, 0.0F}), 0, 1e-6));
}

/// Neither the order of the candidates nor padding changes a logit, and the loss goes by the right ones.
TEST(CandidatesHead, GoesByNoOrder) {
  ParameterStore store(5);
  const CandidatesHead head(store, "ground_head.", 6, 4, 8);
  const at::Tensor pooled = at::sin(at::arange(18, at::kFloat)).view({1, 3, 6}), cls = at::ones({1, 4});
  const at::Tensor boxes = at::rand({1, 3, 4}), real = at::ones({1, 3}, at::kBool);
  const at::Tensor logits = head(pooled, cls, box_numbers(boxes, real), real);
  const at::Tensor order = at::tensor({2, 0, 1}, at::kLong);
  const at::Tensor padded = at::constant_pad_nd(pooled.index_select(1, order), {0, 0, 0, 2}, 7.0);
  const at::Tensor padded_boxes = at::constant_pad_nd(boxes.index_select(1, order), {0, 0, 0, 2}, 0.5);
  const at::Tensor padded_real = at::constant_pad_nd(real, {0, 2}, 0);
  const at::Tensor turned = head(padded, cls, box_numbers(padded_boxes, padded_real), padded_real);
  EXPECT_TRUE(at::allclose(turned.slice(1, 0, 3), logits.index_select(1, order), 1e-4, 1e-5));
  EXPECT_EQ(turned[0][4].item<float>(), static_cast<float>(kNoCandidate));

  const at::Tensor even = at::zeros({2, 4});
  at::Tensor right = at::zeros({2, 4}, at::kBool);
  EXPECT_EQ(candidates_loss(even, right).item<float>(), 0.0F);
  right[1][2] = true;
  EXPECT_NEAR(candidates_loss(even, right).item<float>(), std::log(4.0), 1e-6);
}

}  // namespace
}  // namespace vicha
