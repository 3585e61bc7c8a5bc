#include "image/seen_part.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "image/transform.h"

namespace vicha {
namespace {

std::vector<float> row(const std::vector<float>& shares, std::int64_t cell, std::int64_t cells) {
  return {shares.begin() + cell * cells, shares.begin() + (cell + 1) * cells};
}

void expect_near(const std::vector<float>& found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6) << i;
}

TEST(GridShares, OfTheWholePictureIsTheGridItself) {
  const std::vector<float> shares = grid_shares({}, {2, 3}, {2, 3});
  for (std::int64_t i = 0; i < 6; ++i) {
    for (std::int64_t j = 0; j < 6; ++j) EXPECT_NEAR(shares[static_cast<std::size_t>(6 * i + j)], i == j ? 1 : 0, 1e-6);
  }
}

/// Three cells over a row of two: the middle one lies half in each.
TEST(GridShares, GridsOfOtherSizesShareByArea) {
  expect_near(grid_shares({}, {1, 3}, {1, 2}), {1, 0, 0.5, 0.5, 0, 1});
  expect_near(grid_shares({}, {1, 1}, {2, 2}), {0.25, 0.25, 0.25, 0.25});
  expect_near(grid_shares({}, {2, 1}, {1, 1}), {1, 1});
}

/// The picture's right half, mirrored: what is seen on the left is its last quarter.
TEST(GridShares, FollowCropAndFlip) {
  const SeenPart right{{0.5, 0, 0.5, 0, 1, 0}};
  expect_near(grid_shares(right, {1, 2}, {1, 4}), {0, 0, 1, 0, 0, 0, 0, 1});
  expect_near(grid_shares(right.after({{-1, 0, 1, 0, 1, 0}}), {1, 2}, {1, 4}), {0, 0, 0, 1, 0, 0, 1, 0});
  // A crop that begins a quarter of a cell later.
  expect_near(row(grid_shares({{1, 0, 0.125, 0, 1, 0}}, {1, 2}, {1, 2}), 0, 2), {0.75, 0.25});
}

/// Moved right by half of the picture, a cell has nothing, and one by an eighth half of nothing.
TEST(GridShares, OutsideOfThePictureIsNothing) {
  expect_near(grid_shares({{1, 0, 0.5, 0, 1, 0}}, {1, 2}, {1, 2}), {0, 1, 0, 0});
  expect_near(grid_shares({{1, 0, -0.25, 0, 1, 0}}, {1, 2}, {1, 2}), {0.5, 0, 0.5, 0.5});
}

/// A square turned by 45 degrees about its centre, of a side of which the corners reach the middles of the borders:
/// each quarter of it lies in one of four cells.
TEST(GridShares, OfATurnedCellArePolygons) {
  const double h = 0.5;
  const SeenPart turned{{h, -h, 0.5, h, h, 0.0}};
  expect_near(grid_shares(turned, {1, 1}, {2, 2}), {0.25, 0.25, 0.25, 0.25});
  // Over one cell that is twice as far left, its left half is outside.
  expect_near(grid_shares({{h, -h, 0.0, h, h, 0.0}}, {1, 1}, {1, 1}), {0.5});
}

TEST(AffineMap, InverseUndoes) {
  const AffineMap map{{0.9, 0.2, 3, -0.1, 1.2, -4}};
  const AffineMap both = map.inverse().after(map);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(both.m[i], AffineMap().m[i], 1e-12);
}

/// A picture whose red says the column and whose green the row: what stands at a pixel of the result is what the map
/// says, whatever crops, flips, shears, shifts and rotations were drawn.
TEST(SeenPart, SaysWhereEachPixelComesFrom) {
  const int width = 256, height = 200, side = 64;
  Image picture(width, height, 3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      std::uint8_t* pixel = picture.row(y) + 3 * x;
      pixel[0] = static_cast<std::uint8_t>(x);
      pixel[1] = static_cast<std::uint8_t>(y);
      pixel[2] = 255;
    }
  }
  ImageTransformOptions options;
  options.image_res = side;
  options.augment.probability = 0.9;
  options.augment.magnitude = 9;
  const ImageTransform transform(options);
  int compared = 0, compared_turned = 0, mirrored = 0, turned = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Rng rng(seed), again(seed);
    SeenPart seen;
    const Image result = transform.train_image(picture, rng, &seen);
    EXPECT_EQ(transform.train_image(picture, again).pixels, result.pixels);
    mirrored += seen.m[0] < 0;
    turned += std::abs(seen.m[1]) > 1e-9;
    // Changed colours say nothing.
    const std::uint8_t* middle = result.row(side / 2) + 3 * (side / 2);
    if (middle[2] != 255) continue;
    int wrong = 0, looked = 0;
    for (int y = 8; y < side - 8; y += 4) {
      for (int x = 8; x < side - 8; x += 4) {
        const double u = (x + 0.5) / side, v = (y + 0.5) / side;
        const double at_x = (seen.m[0] * u + seen.m[1] * v + seen.m[2]) * width - 0.5;
        const double at_y = (seen.m[3] * u + seen.m[4] * v + seen.m[5]) * height - 0.5;
        const std::uint8_t* pixel = result.row(y) + 3 * x;
        if (at_x < 6 || at_y < 6 || at_x > width - 7 || at_y > height - 7) continue;
        ++looked;
        wrong += std::abs(pixel[0] - at_x) > 3 || std::abs(pixel[1] - at_y) > 3;
      }
    }
    // Equalised, sharpened or brightened pictures have other samples in the same places.
    if (looked == 0 || wrong > looked / 20) continue;
    ++compared;
    compared_turned += std::abs(seen.m[1]) > 1e-9;
  }
  EXPECT_GT(compared, 15);
  EXPECT_GT(compared_turned, 8);
  EXPECT_GT(mirrored, 15);
  EXPECT_GT(turned, 15);
}

}  // namespace
}  // namespace vicha
