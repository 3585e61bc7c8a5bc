#include "metrics/calibration.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

namespace vicha {
namespace {

/// Rows of two classes that give the first one these odds.
at::Tensor odds(const std::vector<double>& of_first) {
  at::Tensor logits = at::zeros({static_cast<std::int64_t>(of_first.size()), 2}, at::kDouble);
  for (std::size_t i = 0; i < of_first.size(); ++i) logits[static_cast<std::int64_t>(i)][0] = std::log(of_first[i]);
  return logits;
}

TEST(Calibration, LikelihoodByHand) {
  // p(first) = 3/4 and 4/5; labels first, second: -(ln 3/4 + ln 1/5) / 2. The row without a label counts nowhere.
  const at::Tensor labels = at::tensor({0, 1, -1}, at::kLong);
  EXPECT_NEAR(negative_log_likelihood(odds({3, 4, 100}), labels), -(std::log(0.75) + std::log(0.2)) / 2, 1e-12);
  // Temperature 2 takes the root of the odds: p(first) = 2/3 of odds 4.
  EXPECT_NEAR(negative_log_likelihood(odds({4}), at::tensor({0}, at::kLong), 2.0), -std::log(2.0 / 3), 1e-12);
  EXPECT_EQ(negative_log_likelihood(odds({4}), at::tensor({-1}, at::kLong)), 0.0);
}

TEST(Calibration, ErrorByHand) {
  // Intervals (0, .5], (.5, 1]. The first: .2 and .4, one right: |.6 - 1| = .4. The second: .6, .8, 1.0, two right:
  // |2.4 - 2| = .4. Together .8 of 5 rows.
  const at::Tensor confidence = at::tensor({0.2, 0.4, 0.6, 0.8, 1.0}), right = at::tensor({1.0, 0.0, 1.0, 0.0, 1.0});
  EXPECT_NEAR(expected_calibration_error(confidence, right, 2), 16.0, 1e-9);
  // An end belongs to the interval below: .5 is in the first of two.
  EXPECT_NEAR(expected_calibration_error(at::tensor({0.5, 0.9}), at::tensor({1.0, 0.0}), 2), 70.0, 1e-9);
  EXPECT_NEAR(expected_calibration_error(at::tensor({0.5}), at::tensor({0.3}), 10), 20.0, 1e-9) << "right in part";
  // Sure of 3/4 in both rows, right in one: 25 %.
  EXPECT_NEAR(softmax_calibration_error(odds({3, 3}), at::tensor({0, 1}, at::kLong), 1.0), 25.0, 1e-9);
}

TEST(Calibration, FitMakesConfidenceWhatIsRight) {
  // Odds of 81, and right in 3 of 4 rows: temperature 4 makes the odds 3, which is what they are worth.
  const at::Tensor logits = odds({81, 81, 81, 81}), labels = at::tensor({0, 0, 0, 1}, at::kLong);
  const TemperatureFit fit = fit_temperature(logits, labels);
  EXPECT_NEAR(fit.temperature, 4.0, 1e-3);
  EXPECT_NEAR(fit.ece_before, 100 * (81.0 / 82 - 0.75), 1e-6);
  EXPECT_NEAR(fit.ece_after, 0.0, 1e-2);
  EXPECT_NEAR(fit.nll_after, -(3 * std::log(0.75) + std::log(0.25)) / 4, 1e-6);
  EXPECT_LT(fit.nll_after, fit.nll_before);
}

TEST(Calibration, FitEndsAtItsBounds) {
  const TemperatureFit right = fit_temperature(odds({2, 2}), at::tensor({0, 0}, at::kLong));
  const TemperatureFit wrong = fit_temperature(odds({2, 2}), at::tensor({1, 1}, at::kLong));
  EXPECT_NEAR(right.temperature, 0.05, 1e-4);
  EXPECT_NEAR(wrong.temperature, 20.0, 1e-2);
  EXPECT_TRUE(right.at_an_end());
  EXPECT_TRUE(wrong.at_an_end());
  EXPECT_FALSE(fit_temperature(odds({2, 2, 2}), at::tensor({0, 0, 1}, at::kLong)).at_an_end());
  EXPECT_THROW(fit_temperature(odds({2}), at::tensor({-1}, at::kLong)), std::logic_error);
}

}  // namespace
}  // namespace vicha
