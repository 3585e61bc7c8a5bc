#include "train/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/log.h"

namespace vicha {
namespace {

constexpr double kMemory = 0.97;  // of the moving means: they look back about thirty steps
constexpr std::chrono::milliseconds kRedraw{200};

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = std::llround(std::max(0.0, seconds));
  if (whole >= 3600) return fmt::format("{} h {:02d} min", whole / 3600, whole % 3600 / 60);
  if (whole >= 60) return fmt::format("{} min {:02d} s", whole / 60, whole % 60);
  return fmt::format("{} s", whole);
}

std::string format_progress(const StepRecord& record, std::int64_t total_steps, double samples_per_s,
                            double seconds_left) {
  std::string line =
      fmt::format("step {}/{}  epoch {}  lr {:.2e}  {:.{}f} samples/s  left {}", record.step, total_steps, record.epoch,
                  record.lr, samples_per_s, samples_per_s < 10 ? 2 : 0, format_duration(seconds_left));
  for (const auto& [name, value] : record.losses) {
    line += fmt::format("  {} {:.4g}", name == "total" ? "loss" : name, value);
  }
  return line;
}

void Progress::update(const StepRecord& record, double step_seconds) {
  mean_seconds_ = kMemory * mean_seconds_ + (1.0 - kMemory) * step_seconds;
  mean_rate_ = kMemory * mean_rate_ + (1.0 - kMemory) * record.samples_per_s * step_seconds;
  weight_ = kMemory * weight_ + (1.0 - kMemory);
  const bool last = record.step >= total_steps_, due = record.step % every_steps_ == 0 || last;
  const bool terminal = log::shows_status();
  if (!terminal && !due) return;
  if (terminal && !last && Clock::now() - drawn_ < kRedraw) return;
  const double left = static_cast<double>(total_steps_ - record.step) * mean_seconds_ / weight_;
  const std::string line = format_progress(record, total_steps_, mean_rate_ / std::max(mean_seconds_, 1e-12), left);
  if (!terminal) return log::info("{}", line);
  drawn_ = Clock::now();
  log::status(line);
}

void Progress::finish() { log::status(""); }

}  // namespace vicha
