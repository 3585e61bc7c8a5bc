#include "search/calibration.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace vicha {
namespace {

TEST(Calibration, FindsTheLogOddsThatLabelsWereDrawnBy) {
  const LogOdds truth{-3, 6, 0.8};
  Rng rng(1);
  std::vector<LabelledStanding> examples;
  for (int i = 0; i < 40000; ++i) {
    const Standing s{rng.uniform(-0.2, 0.8), rng.uniform(0, 5)};
    examples.push_back({s, rng.chance(truth.probability(s))});
  }
  const LogOdds found = fit_log_odds(examples, false);
  EXPECT_NEAR(found.constant, truth.constant, 0.15);
  EXPECT_NEAR(found.per_cosine, truth.per_cosine, 0.3);
  EXPECT_NEAR(found.per_height, truth.per_height, 0.05);
  for (const Standing s : {Standing{0.1, 1}, Standing{0.3, 4}, Standing{0.6, 2}}) {
    EXPECT_NEAR(found.probability(s), truth.probability(s), 0.02);
  }
}

TEST(Calibration, NeverFallsWithTheScore) {
  Rng rng(4);
  std::vector<LabelledStanding> examples;
  for (int i = 0; i < 5000; ++i) {
    const Standing s{rng.uniform(), rng.uniform(0, 5)};
    examples.push_back({s, rng.chance(1 / (1 + std::exp(5 * s.cosine - s.height)))});  // falls with the cosine
  }
  const LogOdds found = fit_log_odds(examples, false);
  EXPECT_EQ(found.per_cosine, 0);
  EXPECT_GT(found.per_height, 0.5);
}

TEST(Calibration, StaysFiniteWhereAllIsSeparate) {
  std::vector<LabelledStanding> examples;
  for (int i = 0; i < 50; ++i) {
    examples.push_back({{0.9, 5}, true});
    examples.push_back({{0.1, 1}, false});
  }
  const LogOdds found = fit_log_odds(examples, false);
  EXPECT_GT(found.probability({0.9, 5}), 0.9);
  EXPECT_LT(found.probability({0.9, 5}), 1.0);
  EXPECT_LT(found.probability({0.1, 1}), 0.1);
  for (const LabelledStanding& one : {LabelledStanding{{0.5, 2}, true}, LabelledStanding{{0.5, 2}, false}}) {
    EXPECT_TRUE(std::isfinite(fit_log_odds(std::vector<LabelledStanding>(3, one), true).probability({0.5, 2})));
  }
}

TEST(Calibration, OfCaptionsExpectsAsManyRightHitsAsThereAre) {
  Rng rng(9);
  CalibrationQueries examples;
  for (int q = 0; q < 2000; ++q) {
    std::vector<LabelledStanding> hits;
    const double best = rng.uniform(0.2, 0.7);
    for (int h = 0; h < 10; ++h) {
      const Standing s{best - 0.02 * h, 4 - 0.2 * h, 0.5};
      hits.push_back({s, rng.chance(1 / (1 + std::exp(6 - 10 * s.cosine)))});
    }
    examples.queries.push_back(hits);
  }
  for (int i = 0; i < 200; ++i) examples.nonsense.push_back({rng.uniform(0, 0.3), 3, rng.uniform(0, 0.4)});
  const Calibration c = calibrate(examples, CalibratedBy::kCaptions);
  EXPECT_NEAR(c.expected, c.found, 0.03);
  EXPECT_GE(c.share_kept, 0.95);
  EXPECT_LE(c.share_nonsense, 0.06);
  const Calibration again = calibration_from_json(c.to_json(), "c.json");
  EXPECT_EQ(again.to_json(), c.to_json());
  EXPECT_EQ(again.text_probability({0.5, 3}), c.text_probability({0.5, 3}));
  EXPECT_THROW(calibration_from_json("{\"by\": \"captions\"}", "c.json"), DataError);
}

TEST(Calibration, OfPicturesIsAShareOfThem) {
  Calibration c;
  for (int i = 0; i < 100; ++i) c.nearest_other.push_back(0.005 * i + 0.5);
  EXPECT_LT(c.picture_probability(0.3), 0.01);
  EXPECT_NEAR(c.picture_probability(0.75), 0.5, 0.02);
  EXPECT_GT(c.picture_probability(1), 0.99);
  EXPECT_LT(c.picture_probability(1), 1);
}

}  // namespace
}  // namespace vicha
