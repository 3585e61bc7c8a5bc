#include "report/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace vicha {
namespace {

// Quantiles as printed in any table of Student's distribution.
TEST(Statistics, StudentsQuantilesAreThoseOfTheTables) {
  EXPECT_NEAR(student_quantile(0.975, 1), 12.706, 5e-4);
  EXPECT_NEAR(student_quantile(0.975, 2), 4.303, 5e-4);
  EXPECT_NEAR(student_quantile(0.975, 4), 2.776, 5e-4);
  EXPECT_NEAR(student_quantile(0.975, 30), 2.042, 5e-4);
  EXPECT_NEAR(student_quantile(0.95, 2), 2.920, 5e-4);
}

// 10, 12, 17: mean 13; squares 9 + 1 + 16 = 26, over 2 = 13; s = 3.6056. Reach 4.3027 * 3.6056 / sqrt(3) = 8.9567.
TEST(Statistics, SpreadOfThreeSeedsWorkedByHand) {
  const SeedSpread spread = spread_over_seeds({10, 12, 17});
  EXPECT_EQ(spread.count, 3);
  EXPECT_DOUBLE_EQ(spread.mean, 13);
  EXPECT_NEAR(spread.deviation, std::sqrt(13.0), 1e-12);
  ASSERT_TRUE(spread.interval);
  EXPECT_NEAR(spread.interval->low, 13 - 8.9567, 1e-3);
  EXPECT_NEAR(spread.interval->high, 13 + 8.9567, 1e-3);
}

TEST(Statistics, OneSeedHasNoSpreadAndNoInterval) {
  const SeedSpread one = spread_over_seeds({4.5});
  EXPECT_DOUBLE_EQ(one.mean, 4.5);
  EXPECT_DOUBLE_EQ(one.deviation, 0);
  EXPECT_FALSE(one.interval);
  EXPECT_EQ(spread_over_seeds({}).count, 0);
}

TEST(Statistics, BootstrapOfEqualQueriesIsAPoint) {
  const auto interval = bootstrap_over_queries({{2, 2, 2, 2}, {-1, -1}});
  ASSERT_TRUE(interval);
  EXPECT_DOUBLE_EQ(interval->low, 1);
  EXPECT_DOUBLE_EQ(interval->high, 1);
}

// Of n hits of 0 or 1 with share p the mean of a draw is binomial: deviation sqrt(p (1 - p) / n), here 0.5 / 20.
TEST(Statistics, BootstrapOfHitsIsAsWideAsTheBinomialsInterval) {
  std::vector<double> hits(400, 0.0);
  for (std::size_t i = 0; i < hits.size(); i += 2) hits[i] = 1;
  const auto interval = bootstrap_over_queries({hits}, 4000);
  ASSERT_TRUE(interval);
  EXPECT_NEAR(interval->low, 0.5 - 1.96 * 0.025, 0.006);
  EXPECT_NEAR(interval->high, 0.5 + 1.96 * 0.025, 0.006);
  const auto again = bootstrap_over_queries({hits}, 4000);
  EXPECT_EQ(again->low, interval->low);
  EXPECT_EQ(again->high, interval->high);
}

TEST(Statistics, BootstrapOfNothingSaysNothing) {
  EXPECT_FALSE(bootstrap_over_queries({}));
  EXPECT_FALSE(bootstrap_over_queries({{1.0}, {}}));
}

}  // namespace
}  // namespace vicha
