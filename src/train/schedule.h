// The learning rate of each step. Pure functions: nothing to save, nothing to restore. method.md section 3,
// "Optimiser".
//
// released   warm-up in jumps inside epoch 0: with w = warmup, the rate set after iterations 0, 100, …, 100 w is
//            warmup_lr + t (lr - warmup_lr) / w for t = 0 … w (t = w gives lr), and it then stays; epoch e >= 1 has one
//            rate, min_lr + (lr - min_lr) (1 + cos(pi e / epochs)) / 2. A short epoch 0 cuts the warm-up. Past the
//            planned epochs: min_lr.
// step       straight from warmup_lr to lr over the warm-up, then a cosine to min_lr at the end of the run, a new rate
//            each step.
// constant   the same warm-up, then lr.
#pragma once

#include <cstdint>

#include "train/train_options.h"

namespace vicha {

/// Where a step stands in the run; all from 0.
struct SchedulePoint {
  std::int64_t step = 0;  ///< since the start of the run
  std::int64_t epoch = 0;
  std::int64_t step_in_epoch = 0;
  std::int64_t total_steps = 0;  ///< planned
  std::int64_t epochs = 0;       ///< planned
};

/// Rate of the step at `at`, `lr` being the rate after the warm-up.
double learning_rate(const ScheduleOptions& options, double lr, const SchedulePoint& at);

}  // namespace vicha
