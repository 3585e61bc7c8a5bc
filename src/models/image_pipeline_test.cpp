#include "models/image_pipeline.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace vicha {
namespace {

constexpr std::int64_t kViews = 2;

bool readable(std::int64_t i) { return i % 7 != 3; }

/// Images of one value each, their number in the first view and its half in the second; the "tower" gives the means.
/// `rows` gets what comes out, in the order it comes.
ImagePipeline pipeline_of_numbers(std::vector<std::pair<std::int64_t, std::vector<float>>>& rows) {
  ImagePipeline pipeline;
  pipeline.side = 2;
  pipeline.views = kViews;
  pipeline.batch = 4;
  pipeline.read = [](std::int64_t i, std::span<float> pixels) {
    EXPECT_EQ(pixels.size(), 24u);
    std::fill_n(pixels.begin(), 12, static_cast<float>(i));
    std::fill(pixels.begin() + 12, pixels.end(), static_cast<float>(i) / 2);
    return readable(i);
  };
  pipeline.encode = [](const at::Tensor& pixels) { return pixels.mean({1, 2, 3}).unsqueeze(1); };
  pipeline.done = [&](const ImageBatch& batch) {
    const auto count = static_cast<std::int64_t>(batch.images.size());
    ASSERT_LE(batch.end - batch.begin, 4);
    if (count == 0) return;
    ASSERT_EQ(batch.rows.sizes(), (std::vector<std::int64_t>{count * kViews, 1}));
    for (std::int64_t i = 0; i < count; ++i) {
      const float* row = batch.rows.const_data_ptr<float>() + i * kViews;
      rows.emplace_back(batch.images[static_cast<std::size_t>(i)], std::vector<float>(row, row + kViews));
    }
  };
  return pipeline;
}

TEST(ImagePipeline, EveryImageOnceInOrderAndTheUnreadableOnesNever) {
  for (const std::int64_t count : {0, 1, 50}) {
    for (const std::int64_t threads : {0, 1}) {
      std::vector<std::pair<std::int64_t, std::vector<float>>> rows;
      ImagePipeline pipeline = pipeline_of_numbers(rows);
      pipeline.threads = threads;
      pipeline.run(count);
      std::size_t at = 0;
      for (std::int64_t i = 0; i < count; ++i) {
        if (!readable(i)) continue;
        ASSERT_LT(at, rows.size());
        EXPECT_EQ(rows[at].first, i);
        EXPECT_EQ(rows[at].second, (std::vector<float>{static_cast<float>(i), static_cast<float>(i) / 2}));
        ++at;
      }
      EXPECT_EQ(at, rows.size());
    }
  }
}

TEST(ImagePipeline, TheTowerSeesTheSameShapesWhateverTheThreadsAndWhateverCanBeRead) {
  const auto shapes = [](std::int64_t threads, bool all_readable) {
    std::vector<std::pair<float, std::int64_t>> seen;  // first image, images
    std::mutex mutex;
    std::vector<std::pair<std::int64_t, std::vector<float>>> rows;
    ImagePipeline pipeline = pipeline_of_numbers(rows);
    pipeline.threads = threads;
    const auto read = pipeline.read;
    pipeline.read = [=](std::int64_t i, std::span<float> pixels) {
      const bool readable_now = read(i, pixels);
      if (i % 4 == 0 && threads == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return all_readable || readable_now;
    };
    const auto encode = pipeline.encode;
    pipeline.encode = [&, encode](const at::Tensor& pixels) {
      const std::lock_guard lock(mutex);
      seen.emplace_back(pixels[0][0][0][0].item<float>(), pixels.size(0));
      if (!all_readable) {
        for (std::int64_t i = 0; i < pixels.size(0); i += kViews) {
          // The blank row of an image that is left out.
          const auto number = static_cast<std::int64_t>(pixels[i][0][0][0].item<float>());
          EXPECT_TRUE(readable(number)) << number;
        }
      }
      return encode(pixels);
    };
    pipeline.run(50);
    std::sort(seen.begin(), seen.end());
    return seen;
  };
  const auto all = shapes(0, true);
  EXPECT_EQ(all, shapes(1, true));
  const auto some = shapes(0, false);
  EXPECT_EQ(some, shapes(1, false));
  std::vector<std::int64_t> sizes = {kViews}, all_sizes;  // one at the end is unreadable and a batch of its own
  for (const auto& [first, size] : some) sizes.push_back(size);
  for (const auto& [first, size] : all) all_sizes.push_back(size);
  std::sort(sizes.begin(), sizes.end());
  std::sort(all_sizes.begin(), all_sizes.end());
  EXPECT_EQ(sizes, all_sizes);
}

TEST(ImagePipeline, AnErrorStopsIt) {
  for (const bool reading : {true, false}) {
    std::vector<std::pair<std::int64_t, std::vector<float>>> rows;
    ImagePipeline pipeline = pipeline_of_numbers(rows);
    std::atomic<int> reads = 0;
    const auto done = pipeline.done;
    pipeline.read = [&](std::int64_t i, std::span<float>) {
      ++reads;
      if (reading && i == 10) throw std::runtime_error("no such picture");
      return true;
    };
    pipeline.done = [&](const ImageBatch& batch) {
      if (!reading && batch.end > 10) throw std::runtime_error("no space");
      done(batch);
    };
    EXPECT_THROW(pipeline.run(1000), std::runtime_error);
    EXPECT_LT(reads, 1000);
    EXPECT_EQ(rows.size(), 8u);  // the two batches before
  }
}

}  // namespace
}  // namespace vicha
