// What the tests of the training loop share: a short run of the tiny task and a folder for it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "train/loop.h"
#include "train/tiny_task_test.h"

namespace vicha {

/// Five steps of three to an epoch, a checkpoint after each.
inline TrainOptions small_options() {
  TrainOptions o;
  o.length = {.seed = 5, .epochs = 3, .max_steps = 5, .precision = Precision::kFp32};
  o.optimizer.lr = 0.01;
  o.schedule = {.kind = ScheduleKind::kStep, .warmup_lr = 1e-3, .min_lr = 1e-4, .warmup = 0, .warmup_share = 0.3};
  o.checkpoint = {.every_steps = 1, .every_epochs = 0, .keep = 0};
  o.log = {.every_steps = 1000, .metrics_every_steps = 1, .tensorboard = false};
  return o;
}

/// metrics.jsonl without what a clock has to do with.
inline std::vector<std::string> timeless_metrics(const fs::path& out) {
  std::vector<std::string> lines;
  const std::string content = read_file(out / "metrics.jsonl");
  for (std::size_t at = 0; at < content.size();) {
    const std::size_t end = content.find('\n', at);
    if (end == std::string::npos) throw Error("half a line");
    auto json = nlohmann::ordered_json::parse(content.substr(at, end - at));
    for (const char* timing : {"samples_per_s", "seconds", "data_wait"}) json.erase(timing);
    lines.push_back(json.dump());
    at = end + 1;
  }
  return lines;
}

inline void expect_same_checkpoints(const fs::path& a, const fs::path& b) {
  for (const char* file :
       {"model.safetensors", "optimizer.safetensors", "task.safetensors", "config.json", "recipe.toml"}) {
    EXPECT_TRUE(read_file(a / file) == read_file(b / file)) << a / file << " and " << b / file << " differ";
  }
}

/// The message of the Error that `run` throws.
template <class Run>
std::string error_of(const Run& run) {
  try {
    run();
  } catch (const Error& e) {
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

/// A folder of its own for each test, removed afterwards; warnings are kept.
class LoopFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / ("vicha_loop_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    log::set_sink([this](log::Level level, std::string_view line) {
      if (level >= log::Level::kWarning) warnings_.emplace_back(line);
    });
  }
  void TearDown() override {
    log::set_sink({});
    fs::remove_all(folder_);
  }

  RunSetup setup(const char* run, ResumeChoice resume = {}) const {
    return {.out = folder_ / run, .resume = std::move(resume), .device = "cpu"};
  }
  RunResult train(const char* run, const TrainOptions& options = small_options(), ResumeChoice resume = {}) const {
    TinyTask task;
    TinySource source(3, 4);
    return run_training(task, source, options, setup(run, std::move(resume)));
  }
  fs::path step(const char* run, const char* name) const { return folder_ / run / "checkpoints" / name; }

  fs::path folder_;
  std::vector<std::string> warnings_;
};

}  // namespace vicha
