#include "image/clip_preprocess.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"

namespace vicha {
namespace {

/// A detailed image: waves and edges at several scales, and grain.
Image clip_test_image(int width, int height) {
  Rng rng(static_cast<std::uint64_t>(width));
  std::vector<double> grain(4096), slow, fast;
  for (double& g : grain) g = 3 * rng.normal();
  for (int i = 0; i < std::max(width, height); ++i) {
    slow.push_back(std::sin(0.02 * i));
    fast.push_back(std::sin(0.11 * i));
  }
  Image image(width, height, 3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double edge = (x / 90 + y / 70) % 2 == 0 ? 25 : -25, wave = 50 * slow[x] * slow[y] + 30 * fast[x] * slow[y];
      const std::uint64_t noise = rng();
      for (int c = 0; c < 3; ++c) {
        const double value = 128 + wave * (c + 1) / 2 + edge + grain[(noise >> (12 * c)) % grain.size()];
        image.row(y)[3 * x + c] = static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0));
      }
    }
  }
  return image;
}

std::span<const std::uint8_t> clip_test_bytes(const std::string& file) {
  return {reinterpret_cast<const std::uint8_t*>(file.data()), file.size()};
}

/// The tolerance that clip_least_side promises, at every scale, for odd sizes too.
TEST(ClipPreprocessing, ScaledDecodingStaysWithinItsTolerance) {
  for (const auto& [width, height, shrunk] : {std::tuple{785, 801, 2}, {1569, 1577, 4}, {783, 590, 1}}) {
    const std::string file = encode_jpeg(clip_test_image(width, height), 90);
    DecodeOptions scaled;
    scaled.least_side = clip_least_side(224);
    NativeImage small = decode_native(clip_test_bytes(file), "a.jpg", scaled),
                large = decode_native(clip_test_bytes(file), "a.jpg");
    EXPECT_EQ(small.pixels.width, (width + shrunk - 1) / shrunk);
    EXPECT_EQ(small.full_width, shrunk == 1 ? 0 : width);
    const Image a = clip_crop(std::move(small), 224), b = clip_crop(std::move(large), 224);
    std::vector<int> differences;
    double sum = 0;
    for (std::size_t i = 0; i < a.pixels.size(); ++i) {
      differences.push_back(std::abs(int{a.pixels[i]} - int{b.pixels[i]}));
      sum += differences.back();
    }
    std::sort(differences.begin(), differences.end());
    EXPECT_LT(sum / static_cast<double>(differences.size()), 1.0) << width;
    EXPECT_LT(differences[differences.size() * 99 / 100], 6) << width;
    if (shrunk == 1) {
      EXPECT_EQ(sum, 0);
    }
  }
}

}  // namespace
}  // namespace vicha
