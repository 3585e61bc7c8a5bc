#include "train/run_progress.h"

#include <fmt/format.h>

#include <algorithm>

namespace vicha {
namespace {

constexpr double kMemory = 0.97;  // of the moving means: they look back about thirty steps

}  // namespace

std::string format_step_progress(const StepRecord& record, std::int64_t total_steps, double samples_per_s,
                                 double seconds_left) {
  const std::string state = fmt::format("  epoch {}  lr {:.2e}", record.epoch, record.lr);
  std::string line = format_progress({"step", record.step, total_steps, state, samples_per_s, "samples", seconds_left});
  for (const auto& [name, value] : record.losses) {
    line += fmt::format("  {} {:.4g}", name == "total" ? "loss" : name, value);
  }
  return line;
}

void StepProgress::update(const StepRecord& record, double step_seconds) {
  mean_seconds_ = kMemory * mean_seconds_ + (1.0 - kMemory) * step_seconds;
  mean_rate_ = kMemory * mean_rate_ + (1.0 - kMemory) * record.samples_per_s * step_seconds;
  weight_ = kMemory * weight_ + (1.0 - kMemory);
  const bool last = record.step >= total_steps_;
  line_.show(record.step % every_steps_ == 0 || last, last, [&] {
    const double left = static_cast<double>(total_steps_ - record.step) * mean_seconds_ / weight_;
    return format_step_progress(record, total_steps_, mean_rate_ / std::max(mean_seconds_, 1e-12), left);
  });
}

}  // namespace vicha
