#include "concepts/embed_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace vicha {
namespace {

constexpr std::chrono::milliseconds kDrawEvery{200};
constexpr std::chrono::seconds kLogEvery{30};

std::string duration(double seconds) {
  const auto s = static_cast<std::int64_t>(std::max(0.0, seconds) + 0.5);
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
  if (s >= 60) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} s", s);
}

}  // namespace

std::string format_embed_progress(const std::string& doing, const std::string& things, std::int64_t done,
                                  std::int64_t passed_over, std::int64_t total, double seconds) {
  std::string line = fmt::format("{} {}/{}", doing, done, total);
  if (done > passed_over && seconds > 0) {
    const double rate = static_cast<double>(done - passed_over) / seconds;
    line += fmt::format("  {:.1f} {}/s", rate, things);
    if (done < total) line += "  left " + duration(static_cast<double>(total - done) / rate);
  }
  return line;
}

EmbedProgress::EmbedProgress(std::string doing, std::string things, std::int64_t total)
    : doing_(std::move(doing)), things_(std::move(things)), total_(total) {}

EmbedProgress::~EmbedProgress() { log::status(""); }

double EmbedProgress::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

void EmbedProgress::update(std::int64_t done, std::int64_t passed_over) {
  const Clock::time_point now = Clock::now();
  if (log::shows_status()) {
    if (now - drawn_ < kDrawEvery && done < total_) return;
    drawn_ = now;
    log::status(format_embed_progress(doing_, things_, done, passed_over, total_, seconds()));
  } else if (now - logged_ >= kLogEvery) {
    logged_ = now;
    log::info("{}", format_embed_progress(doing_, things_, done, passed_over, total_, seconds()));
  }
}

}  // namespace vicha
