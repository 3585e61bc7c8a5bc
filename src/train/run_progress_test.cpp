#include "train/run_progress.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/log.h"

namespace vicha {
namespace {

TEST(StepProgress, Line) {
  const StepRecord record{.step = 120, .epoch = 3, .lr = 1e-4, .losses = {{"total", 3.21449}, {"itc", 2.0}}};
  EXPECT_EQ(format_step_progress(record, 2000, 512.4, 750.0),
            "step 120/2000  epoch 3  lr 1.00e-04  512 samples/s  left 12 min 30 s  loss 3.214  itc 2");
}

TEST(StepProgress, PlainLinesEveryFewStepsWithRateAndRemainingTime) {
  std::vector<std::string> lines;
  log::set_sink([&](log::Level, std::string_view line) { lines.emplace_back(line); });
  {
    StepProgress progress(25, 10);
    for (std::int64_t step = 1; step <= 25; ++step) {
      // Slow and fast steps in turn: 8 samples each, so 16 in 3 seconds.
      const double seconds = step % 2 == 0 ? 2.0 : 1.0;
      progress.update({.step = step, .losses = {{"total", 1.0}}, .samples_per_s = 8.0 / seconds}, seconds);
    }
  }
  log::set_sink({});
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(lines[0].starts_with("step 10/25")) << lines[0];
  EXPECT_TRUE(lines[1].starts_with("step 20/25")) << lines[1];
  EXPECT_TRUE(lines[2].starts_with("step 25/25")) << lines[2];
  EXPECT_NE(lines[1].find("5.3"), std::string::npos) << lines[1];       // 16/3
  EXPECT_NE(lines[1].find("left 8 s"), std::string::npos) << lines[1];  // 5 steps of 1.5 s
  EXPECT_NE(lines[2].find("left 0 s"), std::string::npos) << lines[2];
}

}  // namespace
}  // namespace vicha
