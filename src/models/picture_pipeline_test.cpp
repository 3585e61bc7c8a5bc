#include "models/picture_pipeline.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <vector>

namespace vicha {
namespace {

/// Pictures of one value each, their number; the "tower" gives the mean.
PicturePipeline pipeline_of_numbers(std::vector<float>& seen) {
  PicturePipeline pipeline;
  pipeline.side = 2;
  pipeline.batch = 4;
  pipeline.read = [](std::int64_t i, std::span<float> pixels) {
    std::fill(pixels.begin(), pixels.end(), static_cast<float>(i));
    return i % 7 != 3;
  };
  pipeline.encode = [](const at::Tensor& pixels) { return pixels.mean({1, 2, 3}).unsqueeze(1); };
  pipeline.done = [&](std::span<const std::int64_t> pictures, const at::Tensor& rows) {
    ASSERT_EQ(rows.size(0), static_cast<std::int64_t>(pictures.size()));
    ASSERT_LE(pictures.size(), 4u);
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      seen.at(static_cast<std::size_t>(pictures[i])) += rows[static_cast<std::int64_t>(i)][0].item<float>() + 1;
    }
  };
  return pipeline;
}

TEST(PicturePipeline, EveryPictureOnceAndTheUnreadableOnesNever) {
  for (const std::int64_t count : {0, 1, 50}) {
    std::vector<float> seen(static_cast<std::size_t>(count), 0.0f);
    pipeline_of_numbers(seen).run(count);
    for (std::int64_t i = 0; i < count; ++i) {
      EXPECT_EQ(seen[static_cast<std::size_t>(i)], i % 7 == 3 ? 0.0f : static_cast<float>(i + 1)) << i;
    }
  }
}

TEST(PicturePipeline, AnErrorStopsIt) {
  std::vector<float> seen(1000, 0.0f);
  PicturePipeline pipeline = pipeline_of_numbers(seen);
  std::atomic<int> reads = 0;
  pipeline.read = [&](std::int64_t i, std::span<float>) {
    ++reads;
    if (i == 10) throw std::runtime_error("no such picture");
    return true;
  };
  EXPECT_THROW(pipeline.run(1000), std::runtime_error);
  EXPECT_LT(reads, 1000);
}

}  // namespace
}  // namespace vicha
