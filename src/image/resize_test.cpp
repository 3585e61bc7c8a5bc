#include "image/resize.h"

#include <gtest/gtest.h>

#include <cmath>

#include "image/resample.h"
#include "image/testing.h"

namespace vicha {
namespace {

/// The definition, pixel by pixel: both passes in plain loops.
Image slow_pass(const Image& in, int size, bool along_rows) {
  const resample::Weights weights = resample::filter_weights(Filter::kBicubic, along_rows ? in.width : in.height, size);
  Image out(along_rows ? size : in.width, along_rows ? in.height : size, in.channels);
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const int i = along_rows ? x : y;
      for (int c = 0; c < in.channels; ++c) {
        std::int64_t sum = 1 << 21;
        for (int t = 0; t < weights.count[i]; ++t) {
          const int at = weights.first[i] + t;
          sum += std::int64_t{weights.fixed[i * weights.taps + t]} *
                 (along_rows ? in.row(y)[at * in.channels + c] : in.row(at)[x * in.channels + c]);
        }
        out.row(y)[x * in.channels + c] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> 22, 0, 255));
      }
    }
  }
  return out;
}

TEST(Resize, VectorPathsEqualThePlainLoops) {
  Rng rng(5);
  for (int round = 0; round < 120; ++round) {
    const auto side = [&] { return 1 + static_cast<int>(rng.below(70)); };
    const Image image = noise(side(), side(), 1 + static_cast<int>(rng.below(4)), static_cast<std::uint64_t>(round));
    const int size = side();
    if (size != image.width) {
      EXPECT_EQ(resize_plain(Filter::kBicubic, image, size, image.height).pixels, slow_pass(image, size, true).pixels);
    }
    if (size != image.height) {
      EXPECT_EQ(resize_plain(Filter::kBicubic, image, image.width, size).pixels, slow_pass(image, size, false).pixels);
    }
  }
}

TEST(Resize, OrderOfThePasses) {
  const Image image = noise(40, 60, 3);
  // The height shrinks by 20 pixels, the width by 10: not more than twice as many, so the width comes first.
  EXPECT_EQ(resize_bicubic(image, 30, 40).pixels, slow_pass(slow_pass(image, 30, true), 40, false).pixels);
  EXPECT_EQ(resize_bicubic(image, 30, 39).pixels, slow_pass(slow_pass(image, 39, false), 30, true).pixels);
  EXPECT_NE(resize_bicubic(image, 30, 39).pixels, slow_pass(slow_pass(image, 30, true), 39, false).pixels);
}

/// The triangle of two pixels' width, as wide as the image shrinks: by the formula, in plain loops.
TEST(Resize, BilinearIsTheAntialiasedTriangle) {
  const resample::Weights grows = resample::filter_weights(Filter::kBilinear, 2, 4);
  EXPECT_EQ(grows.count, (std::vector<int>{1, 2, 2, 1}));
  EXPECT_DOUBLE_EQ(grows.exact[static_cast<std::size_t>(grows.taps)], 0.75);
  const resample::Weights halves = resample::filter_weights(Filter::kBilinear, 8, 4);
  const std::size_t second = static_cast<std::size_t>(halves.taps);  // its centre is 3, its support 1 to 5
  EXPECT_EQ(halves.first[1], 1);
  for (const auto& [tap, weight] : {std::pair{0, 0.125}, {1, 0.375}, {2, 0.375}, {3, 0.125}}) {
    EXPECT_DOUBLE_EQ(halves.exact[second + static_cast<std::size_t>(tap)], weight);
  }
  const Image image = noise(40, 30, 3);
  const Image ours = resize_by(Filter::kBilinear, image, 20, 30);
  for (int y = 0; y < 30; ++y) {
    for (int x = 1; x < 19; ++x) {
      const std::uint8_t* at = image.row(y) + 3 * (2 * x - 1);
      const double mean = 0.125 * at[0] + 0.375 * at[3] + 0.375 * at[6] + 0.125 * at[9];
      EXPECT_NEAR(ours.row(y)[3 * x], mean, 0.501);
    }
  }
}

TEST(Resize, WeightsSumToOne) {
  for (const int in : {1, 2, 3, 17, 500}) {
    for (const int out : {1, 2, 9, 224}) {
      const resample::Weights weights = resample::filter_weights(Filter::kBicubic, in, out);
      for (int i = 0; i < out; ++i) {
        double exact = 0;
        std::int64_t fixed = 0;
        for (int t = 0; t < weights.count[i]; ++t) {
          exact += weights.exact[i * weights.taps + t];
          fixed += weights.fixed[i * weights.taps + t];
        }
        EXPECT_NEAR(exact, 1.0, 1e-12);
        EXPECT_NEAR(static_cast<double>(fixed), 1 << 22, weights.taps);
        EXPECT_LE(weights.first[i] + weights.count[i], in);
      }
    }
  }
}

TEST(Resize, SameSizeIsACopyAlsoWithAlpha) {
  for (const int channels : {1, 2, 3, 4}) {
    const Image image = noise(9, 8, channels);
    EXPECT_EQ(resize_bicubic(image, 9, 8).pixels, image.pixels);
  }
}

TEST(Resize, TransparentColoursDoNotBleed) {
  Image image(8, 8, 4);
  for (int i = 0; i < 64; ++i) {
    const bool left = i % 8 < 4;
    const std::uint8_t pixel[] = {static_cast<std::uint8_t>(left ? 200 : 0), static_cast<std::uint8_t>(left ? 0 : 255),
                                  0, static_cast<std::uint8_t>(left ? 255 : 0)};
    std::copy_n(pixel, 4, image.pixels.begin() + 4 * i);
  }
  const Image small = resize_bicubic(image, 3, 3);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(small.pixels[static_cast<std::size_t>(4 * i + 1)], 0) << i;
}

TEST(Resize, CropReadsNothingOutside) {
  Image image = noise(20, 16, 3);
  const Box box{5, 3, 9, 8};
  const Image before = crop_resize_bicubic(image, box, 13, 6);
  EXPECT_EQ(before.pixels, resize_bicubic(crop(image, box), 13, 6).pixels);
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 20; ++x) {
      if (x >= 5 && x < 14 && y >= 3 && y < 11) continue;
      for (int c = 0; c < 3; ++c) image.row(y)[3 * x + c] ^= 0xff;
    }
  }
  EXPECT_EQ(crop_resize_bicubic(image, box, 13, 6).pixels, before.pixels);
}

TEST(Resize, Flip) {
  for (const int channels : {1, 2, 3, 4}) {
    const Image image = noise(7, 3, channels);
    const Image flipped = flip_horizontal(image);
    for (int c = 0; c < channels; ++c) EXPECT_EQ(flipped.row(1)[c], image.row(1)[6 * channels + c]);
    EXPECT_EQ(flip_horizontal(flipped).pixels, image.pixels);
  }
}

TEST(Resize, Nearest) {
  Image image(2, 1, 1);
  image.pixels = {10, 20};
  EXPECT_EQ(resize_nearest(image, 4, 2).pixels, (std::vector<std::uint8_t>{10, 10, 20, 20, 10, 10, 20, 20}));
  EXPECT_EQ(resize_nearest(noise(9, 9, 3), 9, 9).pixels, noise(9, 9, 3).pixels);
}

}  // namespace
}  // namespace vicha
