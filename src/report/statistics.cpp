#include "report/statistics.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace vicha {
namespace {

constexpr double kTail = 0.025;  // on each side of an interval of 95 %

/// The value below which `share` of the ascending values lie, between two of them by the distance.
double quantile_of(const std::vector<double>& ascending, double share) {
  const double place = share * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, ascending.size() - 1);
  return ascending[below] + (place - static_cast<double>(below)) * (ascending[above] - ascending[below]);
}

}  // namespace

double student_quantile(double probability, std::int64_t freedom) {
  VICHA_ASSERT(probability > 0 && probability < 1 && freedom >= 1);
  return boost::math::quantile(boost::math::students_t(static_cast<double>(freedom)), probability);
}

SeedSpread spread_over_seeds(const std::vector<double>& values) {
  SeedSpread result;
  result.count = static_cast<std::int64_t>(values.size());
  if (values.empty()) return result;
  const auto n = static_cast<double>(values.size());
  for (const double value : values) result.mean += value / n;
  if (values.size() < 2) return result;
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.deviation = std::sqrt(squares / (n - 1));
  const double reach = student_quantile(1 - kTail, result.count - 1) * result.deviation / std::sqrt(n);
  result.interval = Interval{result.mean - reach, result.mean + reach};
  return result;
}

std::optional<Interval> bootstrap_over_queries(const std::vector<std::vector<double>>& strata, std::int64_t draws,
                                               std::uint64_t seed) {
  VICHA_ASSERT(draws > 0);
  if (strata.empty() || std::ranges::any_of(strata, [](const auto& stratum) { return stratum.empty(); })) {
    return std::nullopt;
  }
  Rng rng(seed);
  std::vector<double> sums;
  sums.reserve(static_cast<std::size_t>(draws));
  for (std::int64_t draw = 0; draw < draws; ++draw) {
    double total = 0;
    for (const std::vector<double>& stratum : strata) {
      double sum = 0;
      for (std::size_t i = 0; i < stratum.size(); ++i) sum += stratum[rng.below(stratum.size())];
      total += sum / static_cast<double>(stratum.size());
    }
    sums.push_back(total);
  }
  std::ranges::sort(sums);
  return Interval{quantile_of(sums, kTail), quantile_of(sums, 1 - kTail)};
}

}  // namespace vicha
