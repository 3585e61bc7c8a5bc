#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vicha {
namespace {

double cosine(double lr, double min_lr, std::int64_t at, std::int64_t length) {
  const double angle = std::numbers::pi * static_cast<double>(at) / static_cast<double>(length);
  return min_lr + 0.5 * (lr - min_lr) * (1.0 + std::cos(angle));
}

double straight(double from, double to, std::int64_t at, std::int64_t length) {
  return from + static_cast<double>(at) * ((to - from) / static_cast<double>(length));
}

double released(const ScheduleOptions& o, double lr, const SchedulePoint& at) {
  if (at.epoch >= std::max<std::int64_t>(1, at.epochs)) return o.min_lr;
  if (at.epoch > 0) return cosine(lr, o.min_lr, at.epoch, at.epochs);
  // Set after iteration 100 t, so in force from the one that follows.
  const std::int64_t t = std::min(at.step_in_epoch > 0 ? (at.step_in_epoch - 1) / 100 : 0, o.warmup);
  return t < o.warmup ? straight(o.warmup_lr, lr, t, o.warmup) : lr;
}

std::int64_t warmup_steps(const ScheduleOptions& o, std::int64_t total_steps) {
  const std::int64_t steps =
      o.warmup_share > 0.0 ? std::llround(o.warmup_share * static_cast<double>(total_steps)) : 100 * o.warmup;
  return std::min(steps, total_steps);
}

}  // namespace

double learning_rate(const ScheduleOptions& options, double lr, const SchedulePoint& at) {
  if (options.kind == ScheduleKind::kReleased) return released(options, lr, at);
  const std::int64_t warmup = warmup_steps(options, at.total_steps);
  if (at.step < warmup) return straight(options.warmup_lr, lr, at.step, warmup);
  if (options.kind == ScheduleKind::kConstant) return lr;
  // The last step (number total_steps - 1) is the one that has min_lr.
  const std::int64_t length = std::max<std::int64_t>(1, at.total_steps - 1 - warmup);
  return cosine(lr, options.min_lr, std::min(at.step - warmup, length), length);
}

}  // namespace vicha
