#include "image/augment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <opencv2/core/utility.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "image/decode.h"
#include "image/resize.h"
#include "image/testing.h"

namespace vicha {
namespace {

/// As the public code calls them.
AugmentOp op_named(const std::string& name) {
  static constexpr std::string_view kNames[] = {"Identity", "AutoContrast", "Equalize",   "Brightness", "Sharpness",
                                                "ShearX",   "ShearY",       "TranslateX", "TranslateY", "Rotate"};
  const auto found = std::find(std::begin(kNames), std::end(kNames), name);
  EXPECT_NE(found, std::end(kNames)) << name;
  return static_cast<AugmentOp>(found - std::begin(kNames));
}

TEST(RandAugment, EqualsThePublicCodeOnBothSheets) {
  const auto meta = nlohmann::json::parse(read_file(golden("randaugment/meta.json")));
  for (const char* letter : {"a", "b"}) {
    const Image sheet = load_rgb(golden(std::string("randaugment/sheet_") + letter + ".png"));
    const int side = meta.at("sheet").at("cell_hw").at(letter).at(0);
    const auto cell = [&](int row, int column) { return crop(sheet, {column * side, row * side, side, side}); };
    const Image input = cell(0, 0);
    EXPECT_EQ(apply_augment_op(input, AugmentOp::kAutoContrast, 0, AutoContrast::kReleased).pixels, cell(0, 2).pixels);
    EXPECT_EQ(apply_augment_op(input, AugmentOp::kEqualize, 0).pixels, cell(0, 3).pixels);
    int row = 1;
    for (const auto& name : meta.at("sheet").at("rows")) {
      const AugmentOp op = op_named(name.get<std::string>());
      for (int level = 1; level <= 10; ++level) {
        const double argument = augment_argument(op, level) * (augment_is_signed(op) && level % 2 == 0 ? -1 : 1);
        EXPECT_EQ(apply_augment_op(input, op, argument).pixels, cell(row, level - 1).pixels) << name << level;
      }
      ++row;
    }
  }
  EXPECT_EQ(cv::getNumThreads(), 1);
}

TEST(RandAugment, ExactAutoContrastStretchesToTheFullRange) {
  Image image(2, 1, 3);
  image.pixels = {51, 0, 7, 102, 255, 7};
  EXPECT_EQ(apply_augment_op(image, AugmentOp::kAutoContrast, 0).pixels,
            (std::vector<std::uint8_t>{0, 0, 7, 255, 255, 7}));
  EXPECT_EQ(apply_augment_op(image, AugmentOp::kAutoContrast, 0, AutoContrast::kReleased).pixels,
            (std::vector<std::uint8_t>{255, 0, 7, 255, 255, 7}));
}

TEST(RandAugment, SmallestImages) {
  for (int op = 0; op < kAugmentOpCount; ++op) {
    for (const auto& [width, height] : {std::pair(1, 1), std::pair(1, 9), std::pair(2, 2)}) {
      const Image out = apply_augment_op(noise(width, height, 3), static_cast<AugmentOp>(op), 0.2);
      EXPECT_EQ(out.width, width);
      EXPECT_EQ(out.height, height);
    }
  }
}

TEST(RandAugment, DrawsFollowTheOptions) {
  RandAugmentOptions options;
  Rng rng(3);
  std::set<AugmentOp> seen;
  int steps = 0, negative = 0, with_sign = 0;
  constexpr int kRounds = 4000;
  for (int i = 0; i < kRounds; ++i) {
    for (const AugmentStep& step : draw_randaugment(options, rng)) {
      seen.insert(step.op);
      ++steps;
      EXPECT_DOUBLE_EQ(std::abs(step.argument), augment_argument(step.op, 7));
      if (augment_is_signed(step.op)) {
        ++with_sign;
        negative += step.argument < 0;
      } else {
        EXPECT_GE(step.argument, 0);
      }
    }
  }
  EXPECT_EQ(seen.size(), 10u);
  EXPECT_NEAR(steps, kRounds, 200);  // two operations, each with probability one half
  EXPECT_NEAR(static_cast<double>(negative) / with_sign, 0.5, 0.05);
  options.probability = 1.0;
  options.operations = 3;
  EXPECT_EQ(draw_randaugment(options, rng).size(), 3u);
  options.enabled = false;
  EXPECT_TRUE(draw_randaugment(options, rng).empty());
}

TEST(RandomCrop, StaysInsideAndKeepsTheRanges) {
  const CropOptions options;
  Rng rng(11);
  double share = 0;
  constexpr int kRounds = 4000;
  for (int i = 0; i < kRounds; ++i) {
    const Box box = draw_crop(320, 240, options, rng);
    ASSERT_TRUE(box.x >= 0 && box.y >= 0 && box.x + box.width <= 320 && box.y + box.height <= 240);
    const double area = static_cast<double>(box.width) * box.height / (320.0 * 240.0);
    const double ratio = static_cast<double>(box.width) / box.height;
    EXPECT_GT(area, 0.19);
    EXPECT_LE(area, 1.0);
    EXPECT_GT(ratio, 0.74);
    EXPECT_LT(ratio, 1.35);
    share += area;
  }
  // A share s fits where s <= ratio * 3 / 4; with m = ratio * 3 / 4 log-uniform in 9/16 … 1 the mean of what fits is
  // [(1 - (9/16)^2) / 4 - 0.02 ln(16/9)] / [7/16 - 0.2 ln(16/9)].
  EXPECT_NEAR(share / kRounds, 0.4944, 0.012);
}

TEST(RandomCrop, FallsBackToTheCentre) {
  CropOptions options;
  options.scale_min = options.scale_max = 1.0;
  Rng rng(2);
  const Box tall = draw_crop(10, 1000, options, rng), wide = draw_crop(1000, 10, options, rng);
  EXPECT_EQ(tall.width, 10);
  EXPECT_EQ(tall.height, 13);
  EXPECT_EQ(tall.y, (1000 - 13) / 2);
  EXPECT_EQ(wide.width, 13);
  EXPECT_EQ(wide.x, (1000 - 13) / 2);
  const Box pixel = draw_crop(1, 1, CropOptions{}, rng);
  EXPECT_EQ(pixel.width * pixel.height, 1);
}

}  // namespace
}  // namespace vicha
