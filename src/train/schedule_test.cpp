#include "train/schedule.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "config/serialize.h"

namespace vicha {
namespace {

nlohmann::json golden(const char* name) {
  return nlohmann::json::parse(read_file(fs::path(VICHA_SOURCE_DIR) / "tests/golden" / name));
}

struct Released {
  ScheduleOptions options;
  double lr;
  std::int64_t epochs, steps_per_epoch;

  Released(const nlohmann::json& s, std::int64_t steps) : lr(s["lr"]), epochs(s["epochs"]), steps_per_epoch(steps) {
    options = {.kind = ScheduleKind::kReleased,
               .warmup_lr = s["warmup_lr"],
               .min_lr = s["min_lr"],
               .warmup = s["warmup_epochs"]};
  }
  double operator()(std::int64_t epoch, std::int64_t step_in_epoch) const {
    return learning_rate(options, lr,
                         {.step = epoch * steps_per_epoch + step_in_epoch,
                          .epoch = epoch,
                          .step_in_epoch = step_in_epoch,
                          .total_steps = epochs * steps_per_epoch,
                          .epochs = epochs});
  }
};

/// The tables name the iterations where the rate changed: in between it must not. Equal to the last bit.
template <class Rows>
void expect_table(const Released& rate, const Rows& rows) {
  double in_force = -1.0;
  std::size_t next = 0;
  for (std::int64_t epoch = 0; epoch < rate.epochs; ++epoch) {
    for (std::int64_t i = 0; i < rate.steps_per_epoch; ++i) {
      if (next < rows.size() && rows[next][0] == epoch && rows[next][1] == i) in_force = rows[next++][2];
      ASSERT_EQ(rate(epoch, i), in_force) << "epoch " << epoch << " iteration " << i;
    }
  }
  EXPECT_EQ(next, rows.size());
}

TEST(Schedule, ReleasedRatesOfTheLibrary) {
  const auto table = golden("library/metrics/lr_schedule.json");
  ASSERT_GE(table["runs"].size(), 3u);
  for (const auto& run : table["runs"]) {
    SCOPED_TRACE(run["schedular"].dump());
    expect_table(Released(run["schedular"], run["iterations_per_epoch"]), run["lr"]);
  }
}

TEST(Schedule, ReleasedRatesOfEveryPublicRecipe) {
  const auto tables = golden("vicha_extra/lr_tables.json");
  ASSERT_GE(tables.size(), 9u);
  for (const auto& [name, run] : tables.items()) {
    SCOPED_TRACE(name);
    expect_table(Released(run["schedular"], run["iters_per_epoch"]), run["rows_epoch_firstiter_lr"]);
  }
}

TEST(Schedule, ReleasedBeyondThePlanAndWithoutWarmup) {
  const ScheduleOptions options{.kind = ScheduleKind::kReleased, .warmup_lr = 1e-5, .min_lr = 1e-6, .warmup = 0};
  EXPECT_DOUBLE_EQ(learning_rate(options, 1e-4, {.epochs = 3}), 1e-4);
  EXPECT_DOUBLE_EQ(learning_rate(options, 1e-4, {.epoch = 3, .epochs = 3}), 1e-6);
}

TEST(Schedule, StepIsStraightThenACosineToTheVeryEnd) {
  const ScheduleOptions options{.kind = ScheduleKind::kStep, .warmup_lr = 1e-5, .min_lr = 1e-6, .warmup = 1};
  const auto rate = [&](std::int64_t step) {
    return learning_rate(options, 1e-4, {.step = step, .total_steps = 1101});
  };
  EXPECT_DOUBLE_EQ(rate(0), 1e-5);
  EXPECT_DOUBLE_EQ(rate(50), 5.5e-5);
  EXPECT_DOUBLE_EQ(rate(100), 1e-4);
  EXPECT_NEAR(rate(600), 0.5 * (1e-4 + 1e-6), 1e-18);
  EXPECT_DOUBLE_EQ(rate(1100), 1e-6);
  EXPECT_DOUBLE_EQ(rate(5000), 1e-6);
  for (std::int64_t step = 1; step <= 100; ++step) ASSERT_GT(rate(step), rate(step - 1)) << step;
  for (std::int64_t step = 101; step <= 1100; ++step) ASSERT_LT(rate(step), rate(step - 1)) << step;
}

TEST(Schedule, ConstantAndShares) {
  ScheduleOptions options{.kind = ScheduleKind::kConstant, .warmup_lr = 0.0, .warmup = 3, .warmup_share = 0.1};
  const auto rate = [&](std::int64_t step) { return learning_rate(options, 2.0, {.step = step, .total_steps = 200}); };
  EXPECT_DOUBLE_EQ(rate(0), 0.0);
  EXPECT_DOUBLE_EQ(rate(10), 1.0);
  EXPECT_DOUBLE_EQ(rate(20), 2.0);
  EXPECT_DOUBLE_EQ(rate(199), 2.0);
  options.warmup_share = 0.0;  // 300 steps, longer than the run: all of it is warm-up
  EXPECT_DOUBLE_EQ(rate(100), 1.0);
}

TEST(Schedule, UnknownKind) {
  ScheduleOptions options;
  apply_override(options, "kind=step");
  EXPECT_EQ(options.kind, ScheduleKind::kStep);
  EXPECT_THROW(apply_override(options, "kind=linear"), UsageError);
}

}  // namespace
}  // namespace vicha
