#include "data/pipeline/batch_queue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>

namespace vicha {
namespace {

using namespace std::chrono_literals;  // NOLINT

std::unique_ptr<DraftBatch> draft_of(std::int64_t number, std::size_t size) {
  auto draft = std::make_unique<DraftBatch>();
  draft->number = number;
  draft->samples.resize(size);
  return draft;
}

TEST(BatchQueue, HandsOverInOrderWhoeverIsSlow) {
  BatchQueue queue(
      4, 3, [](std::int64_t n) { return n < 20 ? draft_of(n, static_cast<std::size_t>(1 + n % 3)) : nullptr; },
      [](DraftBatch& batch, std::int64_t slot) {
        if (batch.number % 4 == 0) std::this_thread::sleep_for(2ms);
        batch.samples[static_cast<std::size_t>(slot)].record = batch.number * 10 + slot;
      });
  for (std::int64_t n = 0; n < 20; ++n) {
    const auto draft = queue.next();
    ASSERT_TRUE(draft);
    ASSERT_EQ(draft->number, n);
    ASSERT_EQ(draft->samples.size(), static_cast<std::size_t>(1 + n % 3));
    for (std::size_t i = 0; i < draft->samples.size(); ++i) {
      EXPECT_EQ(draft->samples[i].record, n * 10 + static_cast<std::int64_t>(i));
    }
  }
  EXPECT_FALSE(queue.next());
  EXPECT_FALSE(queue.next());
  queue.seek(18);
  EXPECT_EQ(queue.next()->number, 18);
  EXPECT_EQ(queue.next()->number, 19);
  EXPECT_FALSE(queue.next());
}

TEST(BatchQueue, MakesNoMoreAheadThanAllowed) {
  std::atomic<std::int64_t> opened = 0;
  BatchQueue queue(
      3, 2,
      [&](std::int64_t n) {
        ++opened;
        return draft_of(n, 2);
      },
      [](DraftBatch&, std::int64_t) {});
  queue.next();
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(opened, 3);  // one handed over, two waiting
}

TEST(BatchQueue, ThrowsWhatTheFirstBadSampleThrew) {
  for (int trial = 0; trial < 20; ++trial) {
    BatchQueue queue(
        4, 4, [](std::int64_t n) { return draft_of(n, 8); },
        [](DraftBatch& batch, std::int64_t slot) {
          if (batch.number == 1 && slot >= 3) throw std::runtime_error(std::to_string(slot));
        });
    EXPECT_EQ(queue.next()->number, 0);
    try {
      queue.next();
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "3");
    }
    EXPECT_EQ(queue.next()->number, 2) << "the queue goes on";
  }
}

TEST(BatchQueue, ThrowsWhatOpeningThrew) {
  BatchQueue queue(
      2, 4,
      [](std::int64_t n) {
        if (n == 2) throw std::runtime_error("no memory");
        return draft_of(n, 1);
      },
      [](DraftBatch&, std::int64_t) {});
  queue.next();
  queue.next();
  EXPECT_THROW(queue.next(), std::runtime_error);
  EXPECT_FALSE(queue.next());
}

TEST(BatchQueue, SeeksAndEndsWhileWorkIsUnderWay) {
  for (int trial = 0; trial < 10; ++trial) {
    BatchQueue queue(
        4, 3, [](std::int64_t n) { return draft_of(n, 5); },
        [](DraftBatch& batch, std::int64_t slot) {
          std::this_thread::sleep_for(300us);
          batch.samples[static_cast<std::size_t>(slot)].record = batch.number;
        });
    for (const std::int64_t n : {7, 3, 100}) {
      queue.seek(n);
      const auto draft = queue.next();
      EXPECT_EQ(draft->number, n);
      for (const Sample& sample : draft->samples) EXPECT_EQ(sample.record, n);
    }
  }
}

}  // namespace
}  // namespace vicha
