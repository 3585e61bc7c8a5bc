// Runs that are stopped by a signal or killed.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <random>
#include <tuple>

#include "nn/kernel_choice.h"
#include "train/loop.h"
#include "train/loop_test_support.h"

namespace vicha {
namespace {

class LoopStop : public LoopFolder {};

TEST_F(LoopStop, ASignalEndsTheRunWithACheckpoint) {
  train("whole");
  TinyTask task;
  TinySource source(3, 4);
  TrainOptions options = small_options();
  options.checkpoint.every_steps = 0;
  RunSetup run = setup("run");
  run.on_log = [&](const StepRecord& r) {
    if (r.step == 3) std::raise(SIGTERM);
  };
  const RunResult result = run_training(task, source, options, run);
  EXPECT_FALSE(result.finished);
  EXPECT_EQ(result.step, 3);
  EXPECT_EQ(result.last_checkpoint, step("run", "step-000003"));
  EXPECT_TRUE(train("run").finished);
  expect_same_checkpoints(step("whole", "step-000005"), step("run", "step-000005"));
}

TEST_F(LoopStop, AResumedRunTakesItsKernelWhateverWasMeasuredBefore) {
  if (kernel_choice().onednn_fp32_gflops == 0) GTEST_SKIP() << "one library of products only";
  for (const auto& [first, then, whole] :
       {std::tuple{"blas", "onednn", "blas-whole"}, {"onednn", "blas", "onednn-whole"}}) {
    set_matmul_kernel(first);
    train(whole);
    TrainOptions options = small_options();
    options.checkpoint.every_steps = 0;
    TinyTask task;
    TinySource source(3, 4);
    RunSetup run = setup(first);
    run.on_log = [&](const StepRecord& r) {
      if (r.step == 3) std::raise(SIGTERM);
    };
    run_training(task, source, options, run);
    set_matmul_kernel(then);
    EXPECT_TRUE(train(first).finished);
    EXPECT_EQ(kernel_choice().fp32, first == std::string("blas") ? MatmulKernel::kBlas : MatmulKernel::kOneDnn);
    expect_same_checkpoints(step(whole, "step-000005"), step(first, "step-000005"));
  }
  set_matmul_kernel("auto");
}

/// Gives a batch and then none: a disk that has stopped answering.
class StuckSource : public TinySource {
 public:
  StuckSource(std::int64_t given) : TinySource(3, 4), left_(given) {}
  bool ready(std::chrono::milliseconds patience) override {
    if (left_ > 0) return true;
    std::this_thread::sleep_for(patience / 10);
    return false;
  }
  Batch next() override {
    --left_;
    return TinySource::next();
  }

 private:
  std::int64_t left_;
};

TEST_F(LoopStop, ASignalEndsTheWaitForABatch) {
  train("whole");
  int looks = 0, evaluated = 0;
  RunSetup run = setup("run");
  run.stop_signal = [&] { return ++looks > 8 ? SIGTERM : 0; };
  run.on_checkpoint = [&](const fs::path&, std::int64_t) { ++evaluated; };
  TrainOptions options = small_options();
  options.checkpoint.every_steps = 0;
  TinyTask task;
  StuckSource source(2);
  const RunResult result = run_training(task, source, options, run);
  EXPECT_FALSE(result.finished);
  EXPECT_EQ(result.step, 2);
  EXPECT_EQ(evaluated, 0);
  EXPECT_TRUE(train("run").finished);
  expect_same_checkpoints(step("whole", "step-000005"), step("run", "step-000005"));
}

TEST_F(LoopStop, InTheMiddleOfAStepTheWaitEndsWithoutACheckpointOfIt) {
  int looks = 0;
  RunSetup run = setup("run");
  run.stop_signal = [&] { return ++looks > 8 ? SIGTERM : 0; };
  TrainOptions options = small_options();
  options.checkpoint.every_steps = 0;
  options.optimizer.accumulate = 2;
  TinyTask task;
  StuckSource source(1);
  EXPECT_THROW(run_training(task, source, options, run), Error);
  EXPECT_TRUE(list_checkpoints(folder_ / "run").empty());
}

// The process that KilledAtAnyMoment kills; run in any other way it does nothing.
TEST(LoopStopChild, DISABLED_Train) {
  const char* out = std::getenv("VICHA_LOOP_CHILD");
  if (out == nullptr) GTEST_SKIP();
  log::set_sink([](log::Level, std::string_view) {});
  set_matmul_kernel("blas");  // what is measured may differ from one process to the next on a busy machine
  TrainOptions options = small_options();
  options.length.max_steps = 40;
  options.checkpoint = {.every_steps = 3, .every_epochs = 0, .keep = 3};
  TinyTask task;
  TinySource source(9, 4);
  source.delay = std::chrono::milliseconds(2);
  run_training(task, source, options, {.out = out, .device = "cpu"});
}

/// Starts this program again as the child above; kills it after `patience` unless that is zero. Whether it finished.
bool train_in_child(const fs::path& out, std::chrono::milliseconds patience) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("VICHA_LOOP_CHILD", out.c_str(), 1);
    ::execl("/proc/self/exe", "child", "--gtest_filter=LoopStopChild.*", "--gtest_also_run_disabled_tests",
            "--gtest_brief=1", nullptr);
    ::_exit(127);
  }
  int status = 0;
  if (patience.count() > 0) {
    while (!fs::exists(out / "metrics.jsonl") && ::waitpid(child, &status, WNOHANG) == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::this_thread::sleep_for(patience);
    ::kill(child, SIGKILL);
  }
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(LoopStop, KilledAtAnyMomentItEndsWithTheSameBits) {
  ASSERT_TRUE(train_in_child(folder_ / "whole", {}));
  Rng rng(std::random_device{}());
  int kills = 0;
  for (; kills < 4; ++kills) {
    const std::chrono::milliseconds patience(20 + rng.below(80));
    if (train_in_child(folder_ / "killed", patience)) break;
  }
  EXPECT_GT(kills, 0);
  ASSERT_TRUE(train_in_child(folder_ / "killed", {}));
  expect_same_checkpoints(step("whole", "step-000040"), step("killed", "step-000040"));
  EXPECT_EQ(timeless_metrics(folder_ / "killed"), timeless_metrics(folder_ / "whole"));
  // Nothing is left of checkpoints that were being written.
  for (const auto& entry : fs::directory_iterator(folder_ / "killed/checkpoints")) {
    EXPECT_TRUE(entry.path().filename().string().starts_with("step-")) << entry.path();
  }
}

}  // namespace
}  // namespace vicha
