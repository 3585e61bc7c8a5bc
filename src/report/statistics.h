// What several runs say together: mean and spread over seeds, intervals of a mean, intervals over test queries.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace vicha {

struct Interval {
  double low = 0, high = 0;
};

struct SeedSpread {
  std::int64_t count = 0;
  double mean = 0;
  double deviation = 0;  ///< sample standard deviation (n - 1); 0 of fewer than two values
  /// Student-t interval of the mean, 95 %: where the mean over ever more seeds would lie, if values are normal. Nothing
  /// of fewer than two.
  std::optional<Interval> interval = {};
};

/// Of finite values.
SeedSpread spread_over_seeds(const std::vector<double>& values);

/// The t with P(T <= t) = `probability`, of Student's distribution with `freedom` >= 1 degrees of freedom.
double student_quantile(double probability, std::int64_t freedom);

/// Percentile bootstrap of a sum of means, 95 %. A stratum holds one number for each query of a kind (captions,
/// pictures); queries are drawn anew with replacement within each stratum, and the sum of the strata's means is looked
/// at. For a paired difference a number is what a query gains, averaged over the seeds: queries vary, the trained
/// models do not. Equal arguments give equal bits. Nothing where a stratum is empty or there is none.
std::optional<Interval> bootstrap_over_queries(const std::vector<std::vector<double>>& strata,
                                               std::int64_t draws = 2000, std::uint64_t seed = 1);

}  // namespace vicha
