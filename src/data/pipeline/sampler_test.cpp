#include "data/pipeline/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "base/error.h"

namespace vicha {
namespace {

TEST(Permuted, MeetsEveryNumberOnce) {
  for (std::int64_t n = 1; n < 200; ++n) {
    std::set<std::int64_t> met;
    for (std::int64_t i = 0; i < n; ++i) met.insert(permuted(i, n, 5));
    ASSERT_EQ(met.size(), static_cast<std::size_t>(n));
    ASSERT_EQ(*met.rbegin(), n - 1);
  }
  std::vector<bool> met(100'003);
  for (std::int64_t i = 0; i < 100'003; ++i) met[static_cast<std::size_t>(permuted(i, 100'003, 9))] = true;
  EXPECT_EQ(std::count(met.begin(), met.end(), true), 100'003);
}

TEST(Permuted, ReachesAllOrdersEvenly) {
  std::map<std::vector<std::int64_t>, int> orders;
  for (std::uint64_t key = 0; key < 2400; ++key) {
    std::vector<std::int64_t> order;
    for (std::int64_t i = 0; i < 4; ++i) order.push_back(permuted(i, 4, key));
    ++orders[order];
  }
  EXPECT_EQ(orders.size(), 24u);
  for (const auto& [order, count] : orders) EXPECT_GT(count, 40);  // 100 expected
}

TEST(Permuted, LeavesNoTraceOfTheOrder) {
  // Where neighbours go: the mean distance of two random indices below n is n / 3.
  constexpr std::int64_t kCount = 10'000;
  double distance = 0;
  for (std::int64_t i = 1; i < kCount; ++i) {
    distance += static_cast<double>(std::abs(permuted(i, kCount, 3) - permuted(i - 1, kCount, 3)));
  }
  EXPECT_NEAR(distance / kCount, kCount / 3.0, kCount * 0.01);
}

TEST(Sampler, CoversEachSampleOnceOverAllRanks) {
  constexpr std::int64_t kSamples = 103, kBatch = 5, kWorld = 3;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    std::set<std::int64_t> met;
    for (std::int64_t rank = 0; rank < kWorld; ++rank) {
      const Sampler sampler({.samples = kSamples, .batch_size = kBatch, .seed = 1, .rank = rank, .world = kWorld});
      ASSERT_EQ(sampler.batches_per_epoch(), 6);
      for (std::int64_t batch = 0; batch < 6; ++batch) {
        for (std::int64_t slot = 0; slot < kBatch; ++slot) {
          EXPECT_TRUE(met.insert(sampler.sample(epoch, batch, slot)).second);
        }
      }
    }
    EXPECT_EQ(met.size(), 90u);
  }
}

TEST(Sampler, JoinedRanksEqualOneWithLargerBatches) {
  const Sampler whole({.samples = 100, .batch_size = 6, .seed = 4});
  for (std::int64_t rank = 0; rank < 2; ++rank) {
    const Sampler part({.samples = 100, .batch_size = 3, .seed = 4, .rank = rank, .world = 2});
    for (std::int64_t slot = 0; slot < 3; ++slot)
      EXPECT_EQ(part.sample(2, 7, slot), whole.sample(2, 7, rank * 3 + slot));
  }
}

TEST(Sampler, EpochsAndSeedsDiffer) {
  const Sampler one({.samples = 1000, .batch_size = 10, .seed = 1}),
      two({.samples = 1000, .batch_size = 10, .seed = 2});
  int epoch_equal = 0, seed_equal = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    epoch_equal += one.sample(0, i / 10, i % 10) == one.sample(1, i / 10, i % 10);
    seed_equal += one.sample(0, i / 10, i % 10) == two.sample(0, i / 10, i % 10);
  }
  EXPECT_LT(epoch_equal, 10);
  EXPECT_LT(seed_equal, 10);
}

TEST(Sampler, RefusesLessThanOneBatch) {
  EXPECT_THROW(Sampler({.samples = 5, .batch_size = 3, .seed = 0, .rank = 0, .world = 2}), DataError);
}

}  // namespace
}  // namespace vicha
