#include "train/loop.h"

#include <gtest/gtest.h>

#include <cmath>

#include "checkpoint/safetensors/safetensors.h"
#include "train/checkpoint_folder.h"
#include "train/loop_test_support.h"

namespace vicha {
namespace {

class Loop : public LoopFolder {};

TEST_F(Loop, LearnsAndLeavesWhatTheHeaderSays) {
  TrainOptions options = small_options();
  options.length.max_steps = 0;
  options.length.epochs = 60;
  options.checkpoint = {.every_steps = 0, .every_epochs = 20, .keep = 2};
  options.log.tensorboard = true;
  std::vector<double> losses;
  std::vector<std::int64_t> checkpoints;
  TinyTask task({.dropout = 0.0});
  TinySource source(3, 32);
  RunSetup run = setup("a");
  run.on_log = [&](const StepRecord& r) { losses.push_back(r.losses[1].second); };
  run.on_checkpoint = [&](const fs::path& path, std::int64_t step) {
    EXPECT_TRUE(fs::exists(path / "state.json"));
    checkpoints.push_back(step);
  };
  const RunResult result = run_training(task, source, options, run);
  EXPECT_TRUE(result.finished);
  EXPECT_EQ(result.step, 180);
  ASSERT_EQ(losses.size(), 180u);
  EXPECT_LT(losses.back(), 0.5 * losses.front());
  EXPECT_EQ(checkpoints, (std::vector<std::int64_t>{60, 120, 180}));
  EXPECT_EQ(result.last_checkpoint, step("a", "step-000180"));
  EXPECT_FALSE(fs::exists(step("a", "step-000060")));  // keep = 2
  EXPECT_TRUE(fs::exists(step("a", "step-000120")));
  EXPECT_FALSE(fs::is_empty(folder_ / "a/tensorboard"));
  EXPECT_EQ(timeless_metrics(folder_ / "a").size(), 180u);

  const StateDict model = read_safetensors(step("a", "step-000180") / "model.safetensors");
  for (const char* name : {"first.weight", "first.bias", "second.weight", "tied.weight", "first_m.weight"}) {
    EXPECT_TRUE(model.contains(name)) << name;
  }
  EXPECT_TRUE(model.at("tied.weight").equal(model.at("second.weight")));
  const auto state = nlohmann::json::parse(read_file(step("a", "step-000180") / "state.json"));
  EXPECT_EQ(state["step"], 180);
  EXPECT_EQ(state["epoch"], 60);
  EXPECT_EQ(state["batch_in_epoch"], 0);
  EXPECT_EQ(state["seed"], 5);
}

TEST_F(Loop, ResumedAtEveryStepItEndsWithTheSameBits) {
  ASSERT_EQ(train("whole").step, 5);
  const std::vector<std::string> metrics = timeless_metrics(folder_ / "whole");
  ASSERT_EQ(metrics.size(), 5u);
  for (int k = 1; k <= 5; ++k) {
    SCOPED_TRACE(k);
    // What a run leaves that was killed at some time after checkpoint k: checkpoints up to k, some more metrics.
    fs::remove_all(folder_ / "cut");
    fs::copy(folder_ / "whole", folder_ / "cut", fs::copy_options::recursive);
    for (int later = k + 1; later <= 5; ++later)
      fs::remove_all(step("cut", ("step-00000" + std::to_string(later)).c_str()));
    const RunResult result = train("cut");
    EXPECT_EQ(result.step, 5);
    expect_same_checkpoints(step("whole", "step-000005"), step("cut", "step-000005"));
    EXPECT_EQ(timeless_metrics(folder_ / "cut"), metrics);
  }
  EXPECT_TRUE(warnings_.empty()) << warnings_.front();
}

TEST_F(Loop, ResumeFromANamedCheckpointIntoAnotherFolder) {
  train("whole");
  const ResumeChoice from = ResumeChoice::parse(step("whole", "step-000003").string());
  EXPECT_EQ(train("other", small_options(), from).step, 5);
  expect_same_checkpoints(step("whole", "step-000005"), step("other", "step-000005"));
  // The folder of a run stands for its last checkpoint, which is at the end: nothing is left to do.
  const RunResult done = train("third", small_options(), ResumeChoice::parse((folder_ / "whole").string()));
  EXPECT_TRUE(done.finished);
  EXPECT_EQ(done.last_checkpoint, step("whole", "step-000005"));
  EXPECT_THROW(train("third", small_options(), ResumeChoice::parse((folder_ / "nowhere").string())), DataError);
}

TEST_F(Loop, StartingOverSetsLaterCheckpointsAside) {
  train("whole");
  train("run");
  train("run", small_options(), ResumeChoice::parse(step("run", "step-000004").string()));
  EXPECT_TRUE(fs::exists(step("run", "superseded-step-000005")));
  expect_same_checkpoints(step("whole", "step-000005"), step("run", "step-000005"));
  train("run", small_options(), ResumeChoice::parse("none"));
  EXPECT_TRUE(fs::exists(step("run", "superseded-step-000001")));
  expect_same_checkpoints(step("whole", "step-000005"), step("run", "step-000005"));
  EXPECT_EQ(timeless_metrics(folder_ / "run"), timeless_metrics(folder_ / "whole"));
}

TEST_F(Loop, ALossThatIsNotFiniteStopsTheRun) {
  TinyTask task;
  task.poison_step = 4;
  TinySource source(3, 4);
  TrainOptions options = small_options();
  options.checkpoint.every_steps = 2;
  const std::string error = error_of([&] { run_training(task, source, options, setup("run")); });
  EXPECT_NE(error.find("step 5"), std::string::npos) << error;
  EXPECT_NE(error.find("'total' is inf"), std::string::npos) << error;
  EXPECT_NE(error.find("step-000004"), std::string::npos) << error;
  const auto left = list_checkpoints(folder_ / "run");
  ASSERT_EQ(left.size(), 2u);
  EXPECT_EQ(left.back().step, 4);
  EXPECT_EQ(timeless_metrics(folder_ / "run").size(), 4u);
}

TEST_F(Loop, WeightsThatAreNotFiniteAreNotSaved) {
  TinyTask task;
  TinySource source(3, 4);
  TrainOptions options = small_options();
  RunSetup run = setup("run");
  run.on_checkpoint = [&](const fs::path&, std::int64_t step) {
    if (step == 2) task.parameters().parameter("never_used.weight").value.detach().fill_(std::nanf(""));
  };
  const std::string error = error_of([&] { run_training(task, source, options, run); });
  EXPECT_NE(error.find("never_used.weight"), std::string::npos) << error;
  EXPECT_EQ(list_checkpoints(folder_ / "run").back().step, 2);
}

TEST_F(Loop, AccumulatedBatchesEqualOneLargerBatch) {
  TrainOptions options = small_options();
  options.length.max_steps = 4;
  TinyTask small({.dropout = 0.0, .pull = 0.0}), large({.dropout = 0.0, .pull = 0.0});
  // Of an epoch's 7 small batches the last is left over and dropped.
  TinySource small_source(7, 4), large_source(3, 8);
  std::vector<double> small_losses, large_losses;
  RunSetup small_run = setup("small"), large_run = setup("large");
  small_run.on_log = [&](const StepRecord& r) { small_losses.push_back(r.losses[1].second); };
  large_run.on_log = [&](const StepRecord& r) { large_losses.push_back(r.losses[1].second); };
  options.optimizer.accumulate = 2;
  run_training(small, small_source, options, small_run);
  options.optimizer.accumulate = 1;
  run_training(large, large_source, options, large_run);
  ASSERT_EQ(small_losses.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(small_losses[i], large_losses[i], 1e-6) << i;
}

TEST_F(Loop, AccumulationResumesInTheMiddleOfAnEpoch) {
  TrainOptions options = small_options();
  options.optimizer.accumulate = 2;
  const auto run = [&](const char* name) {
    TinyTask task;
    TinySource source(7, 4);
    run_training(task, source, options, setup(name));
  };
  run("whole");
  run("cut");
  run("cut");
  expect_same_checkpoints(step("whole", "step-000005"), step("cut", "step-000005"));
}

TEST_F(Loop, ClippingIsMeasuredAndBoundsTheGradient) {
  TrainOptions options = small_options();
  options.optimizer.clip_norm = 1e-3;
  TinyTask task;
  TinySource source(3, 4);
  RunSetup run = setup("run");
  std::vector<double> norms;
  run.on_log = [&](const StepRecord& r) { norms.push_back(r.measures.back().second); };
  run_training(task, source, options, run);
  ASSERT_EQ(norms.size(), 5u);
  const StateDict state = read_safetensors(step("run", "step-000001") / "optimizer.safetensors");
  double moments = 0.0;  // after one step they are (1 - beta1) times the clipped gradient
  for (const char* name : {"exp_avg.first.weight", "exp_avg.first.bias", "exp_avg.second.weight"}) {
    moments += state.at(name).square().sum().item<double>();
  }
  EXPECT_GT(norms[0], 0.1);
  EXPECT_NEAR(std::sqrt(moments) / 0.1, 1e-3, 1e-6);
}

TEST_F(Loop, TooFewBatchesForAStep) {
  TrainOptions options = small_options();
  options.optimizer.accumulate = 4;
  EXPECT_NE(error_of([&] { train("run", options); }).find("optimizer.accumulate"), std::string::npos);
}

TEST_F(Loop, OtherDataOrSeedIsRefused) {
  train("run");
  TrainOptions options = small_options();
  options.length.seed = 6;
  EXPECT_NE(error_of([&] { train("run", options); }).find("seed 6"), std::string::npos);
  TinyTask task;
  TinySource source(4, 4);
  EXPECT_NE(error_of([&] { run_training(task, source, small_options(), setup("run")); }).find("3 batches"),
            std::string::npos);
}

TEST_F(Loop, ResumeChoices) {
  EXPECT_EQ(ResumeChoice::parse("auto").kind, ResumeChoice::Kind::kAuto);
  EXPECT_EQ(ResumeChoice::parse("none").kind, ResumeChoice::Kind::kNone);
  EXPECT_EQ(ResumeChoice::parse("a/b").path, fs::path("a/b"));
  EXPECT_THROW(ResumeChoice::parse(""), UsageError);
}

}  // namespace
}  // namespace vicha
