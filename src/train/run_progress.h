// Where a run stands: its step, rate, remaining time and losses, in one line (base/progress.h).
#pragma once

#include <cstdint>
#include <string>

#include "base/progress.h"
#include "train/metrics.h"

namespace vicha {

/// "step 120/2000  epoch 3  lr 1.00e-04  512 samples/s  left 12 min 30 s  loss 3.214  itc 2.1  …"
std::string format_step_progress(const StepRecord& record, std::int64_t total_steps, double samples_per_s,
                                 double seconds_left);

class StepProgress {
 public:
  /// Where there is no terminal, a line of the log every `every_steps`.
  StepProgress(std::int64_t total_steps, std::int64_t every_steps)
      : total_steps_(total_steps), every_steps_(every_steps) {}

  /// After each step. `step_seconds`: how long it took.
  void update(const StepRecord& record, double step_seconds);

 private:
  std::int64_t total_steps_, every_steps_;
  double mean_seconds_ = 0.0, mean_rate_ = 0.0, weight_ = 0.0;  ///< moving means, weighted towards the last steps
  ProgressLine line_;
};

}  // namespace vicha
