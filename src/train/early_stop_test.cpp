#include "train/early_stop.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <csignal>
#include <utility>
#include <vector>

#include "distributed/thread_group_test_support.h"
#include "train/checkpoint_folder.h"
#include "train/loop.h"
#include "train/loop_test_support.h"

namespace vicha {
namespace {

/// Judges 1, 2, 3 … by these scores.
EarlyStop stopper(std::int64_t patience, std::vector<double> scores, double least_gain = 0.0) {
  return {{.patience = patience, .least_gain = least_gain},
          [scores = std::move(scores)](std::int64_t step) { return scores.at(static_cast<std::size_t>(step - 1)); }};
}

TEST(EarlyStop, CountsJudgementsSinceTheBest) {
  EarlyStop stop = stopper(2, {0.5, 0.6, 0.6, 0.55, 0.9}, 0.0);
  EXPECT_FALSE(stop.best_score() || stop.best_step() || stop.enough());
  const std::vector<std::int64_t> best = {1, 2, 2, 2, 5};
  const std::vector<bool> enough = {false, false, false, true, false};
  for (std::int64_t step = 1; step <= 5; ++step) {
    stop.judge(step);
    EXPECT_EQ(stop.best_step(), best[static_cast<std::size_t>(step - 1)]);
    EXPECT_EQ(stop.enough(), enough[static_cast<std::size_t>(step - 1)]) << step;
  }
  EXPECT_EQ(stop.best_score(), 0.9);
}

TEST(EarlyStop, AskedForMoreAndNotANumberIsNoGain) {
  EarlyStop stop = stopper(2, {NAN, 0.5, 0.505, NAN}, 0.01);
  stop.judge(1);
  EXPECT_FALSE(stop.best_step());
  for (std::int64_t step = 2; step <= 4; ++step) stop.judge(step);
  EXPECT_EQ(stop.best_step(), 2);
  EXPECT_TRUE(stop.enough());
  EarlyStop never = stopper(0, {1.0, 0.0, 0.0, 0.0});
  for (std::int64_t step = 1; step <= 4; ++step) never.judge(step);
  EXPECT_FALSE(never.enough());
}

TEST(EarlyStop, ItsStateIsAllThatCounts) {
  EarlyStop stop = stopper(3, {0.5, 0.4, 0.3, 0.2});
  stop.judge(1);
  stop.judge(2);
  StateDict state;
  stop.save_state(state);
  EarlyStop again = stopper(3, {0.5, 0.4, 0.3, 0.2});
  again.load_state(state);
  EXPECT_EQ(again.best_step(), 1);
  EXPECT_EQ(again.best_score(), 0.5);
  again.judge(3);
  EXPECT_FALSE(again.enough());
  again.judge(4);
  EXPECT_TRUE(again.enough());
  again.load_state(StateDict());
  EXPECT_FALSE(again.best_step() || again.enough());
}

class LoopValidation : public LoopFolder {};

/// Says enough on one rank only.
class OneRankHasEnough : public Validation {
 public:
  explicit OneRankHasEnough(bool says) : says_(says) {}
  void judge(std::int64_t step) override { judged.push_back(step); }
  bool enough() const override { return says_ && !judged.empty() && judged.back() == 2; }
  std::optional<std::int64_t> best_step() const override { return std::nullopt; }
  std::vector<std::int64_t> judged;

 private:
  bool says_;
};

TEST_F(LoopValidation, OneRanksYesEndsAll) {
  std::array<RunResult, 2> results;
  const auto errors = run_ranks(2, [&](const Group& group) {
    TinyTask task;
    TinySource source(3, 4, group.rank(), 2);
    OneRankHasEnough validation(group.rank() == 1);
    RunSetup run{.out = folder_ / "run", .device = "cpu", .group = group, .validation = &validation};
    run.stop_signal = [] { return 0; };
    results[static_cast<std::size_t>(group.rank())] = run_training(task, source, small_options(), run);
    EXPECT_EQ(validation.judged, (std::vector<std::int64_t>{1, 2}));
  });
  EXPECT_EQ(errors, std::vector<std::string>(2));
  for (const RunResult& result : results) {
    EXPECT_EQ(result.step, 2);
    EXPECT_TRUE(result.finished && result.enough);
    EXPECT_TRUE(result.best_checkpoint.empty());
  }
}

TEST_F(LoopValidation, ACheckpointOfASignalIsNotJudged) {
  TinyTask task;
  TinySource source(3, 4);
  TrainOptions options = small_options();
  options.checkpoint.every_steps = 2;
  OneRankHasEnough validation(false);
  RunSetup run = setup("run");
  run.validation = &validation;
  int calls = 0;
  run.stop_signal = [&] { return calls++ == 3 ? SIGTERM : 0; };
  const RunResult result = run_training(task, source, options, run);
  EXPECT_EQ(result.last_checkpoint, step("run", "step-000003"));
  EXPECT_FALSE(result.finished || result.enough);
  EXPECT_EQ(result.exit_status(), 128 + SIGTERM);
  EXPECT_EQ(validation.judged, (std::vector<std::int64_t>{2}));
}

}  // namespace
}  // namespace vicha
