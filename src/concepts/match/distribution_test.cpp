#include "concepts/match/distribution.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/random.h"

namespace vicha {
namespace {

TEST(DistributionTest, QuantilesAreLinearBetweenNeighbours) {
  const Distribution d = distribution_of(std::vector<float>{4, 1, 3, 2, std::numeric_limits<float>::quiet_NaN()}, {});
  EXPECT_EQ(d.count, 4);
  EXPECT_EQ(d.kept, 4);
  EXPECT_DOUBLE_EQ(d.mean, 2.5);
  EXPECT_DOUBLE_EQ(d.lowest, 1);
  EXPECT_DOUBLE_EQ(d.highest, 4);
  EXPECT_DOUBLE_EQ(d.quantiles[4], 2.5);
  EXPECT_DOUBLE_EQ(d.quantiles[3], 1.75);  // numpy.quantile([1, 2, 3, 4], .25)
}

TEST(DistributionTest, EveryValueIsInTheBinThatHoldsIt) {
  Rng rng(1);
  for (const double scale : {1e-3, 0.1, 1.0, 250.0}) {
    std::vector<float> values;
    std::vector<bool> kept;
    for (int i = 0; i < 5000; ++i) {
      values.push_back(static_cast<float>(scale * rng.normal()));
      kept.push_back(values.back() > 0);
    }
    const Distribution d = distribution_of(values, kept, 30);
    EXPECT_LE(d.bins.size(), 30u);
    EXPECT_GE(d.bins.size(), 10u);
    std::vector<Distribution::Bin> expected(d.bins.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      for (std::size_t bin = 0; bin < d.bins.size(); ++bin) {
        const double low = d.low + static_cast<double>(bin) * d.width;
        if (values[i] < low || values[i] >= low + d.width) continue;
        ++expected[bin].count;
        expected[bin].kept += kept[i] ? 1 : 0;
      }
    }
    std::int64_t kept_count = 0;
    for (std::size_t bin = 0; bin < d.bins.size(); ++bin) {
      EXPECT_EQ(d.bins[bin].count, expected[bin].count) << scale << " " << bin;
      EXPECT_EQ(d.bins[bin].kept, expected[bin].kept) << scale << " " << bin;
      kept_count += d.bins[bin].kept;
    }
    EXPECT_EQ(kept_count, d.kept);
  }
}

TEST(DistributionTest, EqualValuesAndNoneAtAll) {
  const Distribution same = distribution_of(std::vector<float>(7, 0.25f), {});
  ASSERT_EQ(same.bins.size(), 1u);
  EXPECT_EQ(same.bins[0].count, 7);
  const Distribution none = distribution_of({}, {});
  EXPECT_EQ(none.count, 0);
  EXPECT_EQ(histogram_text(none), "no similarities\n");
}

TEST(DistributionTest, TextHasABarForEachBin) {
  const std::vector<float> values = {0.05f, 0.15f, 0.15f, 0.15f, 0.15f, 0.35f};
  const Distribution d = distribution_of(values, {false, false, true, true, true, true}, 4);
  EXPECT_EQ(histogram_text(d, 8),
            "6 similarities, 4 kept; mean 0.1667, lowest 0.0500, highest 0.3500\n"
            "quantiles:  1 % 0.0550  5 % 0.0750  10 % 0.1000  25 % 0.1500  50 % 0.1500  75 % 0.1500  90 % 0.2500  "
            "95 % 0.3000  99 % 0.3400\n"
            "     0.0          1 |..\n"
            "     0.1          4 |######..\n"
            "     0.2          0 |\n"
            "     0.3          1 |##\n");
}

}  // namespace
}  // namespace vicha
