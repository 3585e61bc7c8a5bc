#include "image/regions.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace vicha {
namespace {

TEST(Regions, AGridOfRoundedEdges) {
  const auto boxes = region_grid(10, 7, 2, 3);
  ASSERT_EQ(boxes.size(), 6U);
  // 10 / 3: edges 0, 3, 7, 10; 7 / 2: 0, 4 (a half is rounded up), 7.
  const int expected[6][4] = {{0, 0, 3, 4}, {3, 0, 4, 4}, {7, 0, 3, 4}, {0, 4, 3, 3}, {3, 4, 4, 3}, {7, 4, 3, 3}};
  for (int i = 0; i < 6; ++i) {
    const RegionBox& box = boxes[static_cast<std::size_t>(i)];
    EXPECT_EQ(box.x, expected[i][0]) << i;
    EXPECT_EQ(box.y, expected[i][1]) << i;
    EXPECT_EQ(box.width, expected[i][2]) << i;
    EXPECT_EQ(box.height, expected[i][3]) << i;
  }
  EXPECT_EQ(region_grid(640, 480).size(), 36U);
}

TEST(Regions, CellsTileTheImageExactly) {
  for (const auto& [width, height] : {std::pair(6, 6), {7, 11}, {97, 101}, {640, 6}, {383, 1000}}) {
    std::vector<int> seen(static_cast<std::size_t>(width * height));
    for (const RegionBox& box : region_grid(width, height)) {
      EXPECT_LE(std::abs(box.width - width / 6.0), 1);
      EXPECT_LE(std::abs(box.height - height / 6.0), 1);
      for (int y = box.y; y < box.y + box.height; ++y) {
        for (int x = box.x; x < box.x + box.width; ++x) ++seen.at(static_cast<std::size_t>(y * width + x));
      }
    }
    EXPECT_EQ(seen, std::vector<int>(seen.size(), 1)) << width << " x " << height;
  }
}

TEST(Regions, EveryRegionOfASmallImageHasAPixel) {
  std::vector<int> seen(4);
  for (const RegionBox& box : region_grid(4, 1, 6, 6)) {
    EXPECT_EQ(box.width, 1);
    EXPECT_EQ(box.height, 1);
    EXPECT_EQ(box.y, 0);
    ++seen.at(static_cast<std::size_t>(box.x));
  }
  for (const int count : seen) EXPECT_GT(count, 0);
}

TEST(Regions, LargeImagesDoNotOverflow) {
  const auto boxes = region_grid(2147483647, 2147483647, 1, 7);
  EXPECT_EQ(std::int64_t{boxes.back().x} + boxes.back().width, 2147483647);
}

TEST(Regions, ImpossibleGridsAreRefused) {
  EXPECT_THROW(region_grid(0, 5), UsageError);
  EXPECT_THROW(region_grid(5, 5, 0, 3), UsageError);
}

}  // namespace
}  // namespace vicha
