// Where a run's steps are told: metrics.jsonl, TensorBoard and the progress line. Of several ranks the writer has one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "train/metrics.h"
#include "train/run_progress.h"
#include "train/tensorboard.h"
#include "train/train_options.h"

namespace vicha {

class RunRecorder {
 public:
  /// Goes on after `step` in the files of a run that resumes, and begins them anew for one that does not. Throws Error
  /// if a file in `out` cannot be written.
  RunRecorder(const std::filesystem::path& out, const LogOptions& options, std::int64_t step, std::int64_t total_steps,
              bool resumes);

  /// `step_seconds`: how long the step took.
  void write(const StepRecord& record, double step_seconds);
  /// Returns when the metrics have reached the disk.
  void sync() { metrics_.sync(); }

 private:
  std::int64_t metrics_every_steps_, total_steps_;
  MetricsFile metrics_;
  std::optional<EventWriter> events_;
  StepProgress progress_;
};

}  // namespace vicha
