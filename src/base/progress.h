// Where a long piece of work stands, in one line: rewritten in place on a terminal, a line of the log now and then
// elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace vicha {

/// "2 h 05 min", "3 min 20 s", "7 s".
std::string format_duration(double seconds);

struct ProgressFigures {
  std::string_view doing;            ///< "embedding pictures", "step"
  std::int64_t done = 0, total = 0;  ///< of what `doing` counts
  std::string_view state = {};       ///< stands before the rate
  double rate = 0;                   ///< of `things` a second; 0: not known, and then neither is what is left
  std::string_view things = {};
  double seconds_left = 0;
};
/// "embedding pictures 120/2000  34.5 pictures/s  left 55 s".
std::string format_progress(const ProgressFigures& figures);

/// The line itself; it goes from the terminal with the object.
class ProgressLine {
 public:
  ProgressLine() = default;
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// On a terminal rewritten at most five times a second, and when `last`; elsewhere logged when `due`. `line` is made
  /// only if it is shown.
  void show(bool due, bool last, const std::function<std::string()>& line);

 private:
  std::chrono::steady_clock::time_point drawn_{};
};

/// Of work on a known number of things: their mean rate since the start and the time that is left; logged every half
/// minute.
class Progress {
 public:
  /// `doing` "embedding pictures", `things` "pictures".
  Progress(std::string doing, std::string things, std::int64_t total);

  /// `passed_over` of the things done took no work: they do not count for the rate.
  void update(std::int64_t done, std::int64_t passed_over = 0);
  double seconds() const;  ///< since the start

 private:
  using Clock = std::chrono::steady_clock;

  std::string doing_, things_;
  std::int64_t total_;
  Clock::time_point start_ = Clock::now(), logged_ = start_;
  ProgressLine line_;
};

}  // namespace vicha
