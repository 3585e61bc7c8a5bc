#include "base/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/log.h"

namespace vicha {
namespace {

constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::chrono::seconds kLogEvery{30};

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = std::llround(std::max(0.0, seconds));
  if (whole >= 3600) return fmt::format("{} h {:02d} min", whole / 3600, whole % 3600 / 60);
  if (whole >= 60) return fmt::format("{} min {:02d} s", whole / 60, whole % 60);
  return fmt::format("{} s", whole);
}

std::string format_progress(const ProgressFigures& f) {
  std::string line = fmt::format("{} {}/{}{}", f.doing, f.done, f.total, f.state);
  if (f.rate > 0) {
    const int digits = f.rate < 10 ? 2 : f.rate < 100 ? 1 : 0;
    line += fmt::format("  {:.{}f} {}/s  left {}", f.rate, digits, f.things, format_duration(f.seconds_left));
  }
  return line;
}

ProgressLine::~ProgressLine() { log::status(""); }

void ProgressLine::show(bool due, bool last, const std::function<std::string()>& line) {
  if (!log::shows_status()) {
    if (due) log::info("{}", line());
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (!last && now - drawn_ < kRedraw) return;
  drawn_ = now;
  log::status(line());
}

Progress::Progress(std::string doing, std::string things, std::int64_t total)
    : doing_(std::move(doing)), things_(std::move(things)), total_(total) {}

double Progress::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

void Progress::update(std::int64_t done, std::int64_t passed_over) {
  const Clock::time_point now = Clock::now();
  const bool due = now - logged_ >= kLogEvery;
  if (due) logged_ = now;
  line_.show(due, done >= total_, [&] {
    const double rate = static_cast<double>(done - passed_over) / std::max(seconds(), 1e-9);
    const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
    return format_progress({doing_, done, total_, {}, rate, things_, left});
  });
}

}  // namespace vicha
