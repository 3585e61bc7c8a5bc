// What is recorded of a step, and the file it is recorded in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "train/append_file.h"

namespace vicha {

using NamedValues = std::vector<std::pair<std::string, double>>;

/// One optimiser step. All but the three timings and `skipped` are functions of the recipe and the data.
struct StepRecord {
  std::int64_t step = 0;   ///< steps done, this one included
  std::int64_t epoch = 0;  ///< that it belonged to, from 0
  double lr = 0.0;
  NamedValues losses = {};  ///< "total" first; means over the step's micro-batches
  NamedValues measures = {};
  double samples_per_s = 0.0;  ///< of this step
  double seconds = 0.0;        ///< since the run began, without the time between a stop and its resume
  double data_wait = 0.0;      ///< share of the step spent waiting for batches, 0 … 1
  std::int64_t skipped = 0;    ///< samples that could not be read, so far
};

/// `metrics.jsonl`: one JSON object a line, {"step", "epoch", "lr", "losses": {…}, "measures": {…}, "samples_per_s",
/// "seconds", "data_wait", "skipped"}; NaN and infinities are null.
class MetricsFile {
 public:
  /// Lines of steps after `last_step` (and half a line that a killed run may have left) are cut off, so that a resumed
  /// run's file reads as if it had never stopped. Throws Error if the file cannot be written.
  MetricsFile(const std::filesystem::path& path, std::int64_t last_step);

  void write(const StepRecord& record);
  void sync() { file_.sync(); }

 private:
  AppendFile file_;
};

}  // namespace vicha
