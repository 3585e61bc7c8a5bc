#include "train/metrics.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace vicha {
namespace {

class Metrics : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / ("vicha_metrics_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path file() const { return folder_ / "metrics.jsonl"; }

  fs::path folder_;
};

StepRecord record(std::int64_t step) {
  return {.step = step,
          .epoch = step / 3,
          .lr = 1e-4 / static_cast<double>(step),
          .losses = {{"total", 1.0 / static_cast<double>(step)}, {"itc", 0.1}},
          .measures = {{"temperature", 0.07}},
          .samples_per_s = 512.5,
          .seconds = 0.25 * static_cast<double>(step),
          .data_wait = 0.5,
          .skipped = 2};
}

TEST_F(Metrics, OneObjectALine) {
  {
    MetricsFile metrics(file(), 0);
    metrics.write(record(1));
    StepRecord odd = record(2);
    odd.measures = {{"a \"name\"", std::nan("")}};
    metrics.write(odd);
    metrics.sync();
  }
  const std::string content = read_file(file());
  ASSERT_EQ(content.back(), '\n');
  const std::size_t end = content.find('\n');
  const auto first = nlohmann::json::parse(content.substr(0, end));
  EXPECT_EQ(first["step"], 1);
  EXPECT_EQ(first["epoch"], 0);
  EXPECT_EQ(first["lr"], 1e-4);
  EXPECT_EQ(first["losses"]["total"], 1.0);
  EXPECT_EQ(first["losses"]["itc"], 0.1);
  EXPECT_EQ(first["measures"]["temperature"], 0.07);
  EXPECT_EQ(first["samples_per_s"], 512.5);
  EXPECT_EQ(first["seconds"], 0.25);
  EXPECT_EQ(first["skipped"], 2);
  const auto second = nlohmann::json::parse(content.substr(end + 1));
  EXPECT_TRUE(second["measures"]["a \"name\""].is_null());
}

TEST_F(Metrics, ResumeCutsWhatWasWrittenAfterTheCheckpoint) {
  {
    MetricsFile metrics(file(), 0);
    for (std::int64_t step = 1; step <= 6; ++step) metrics.write(record(step));
  }
  const std::string whole = read_file(file());
  // A run killed while it wrote step 7.
  write_file_atomic(file(), whole + R"({"step":7,"epo)");
  {
    MetricsFile metrics(file(), 4);
    metrics.write(record(5));
    metrics.write(record(6));
  }
  EXPECT_EQ(read_file(file()), whole);
  { MetricsFile metrics(file(), 6); }  // nothing to cut
  EXPECT_EQ(read_file(file()), whole);
  { MetricsFile metrics(file(), 0); }  // a new run
  EXPECT_EQ(read_file(file()), "");
}

TEST_F(Metrics, FolderThatCannotBeMade) {
  fs::create_directories(folder_);
  write_file_atomic(folder_ / "occupied", "a file");
  try {
    MetricsFile metrics(folder_ / "occupied" / "metrics.jsonl", 0);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("metrics.jsonl"), std::string::npos);
  }
}

}  // namespace
}  // namespace vicha
