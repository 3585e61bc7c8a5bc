// Where a run stands, in one line: rewritten in place on a terminal, a line of the log every so often elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "train/metrics.h"

namespace vicha {

/// "2 h 05 min", "3 min 20 s", "7 s".
std::string format_duration(double seconds);

/// "step 120/2000  epoch 3  lr 1.00e-04  512 samples/s  left 12 min 30 s  loss 3.214  itc 2.1  …"
std::string format_progress(const StepRecord& record, std::int64_t total_steps, double samples_per_s,
                            double seconds_left);

class Progress {
 public:
  Progress(std::int64_t total_steps, std::int64_t every_steps) : total_steps_(total_steps), every_steps_(every_steps) {}
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// After each step. `step_seconds`: how long it took.
  void update(const StepRecord& record, double step_seconds);
  /// Removes the line from the terminal.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  std::int64_t total_steps_, every_steps_;
  double mean_seconds_ = 0.0, mean_rate_ = 0.0, weight_ = 0.0;  ///< moving means, weighted towards the last steps
  Clock::time_point drawn_{};
};

}  // namespace vicha
