// Where a long piece of work stands: a line that is rewritten on a terminal, a line of the log now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace vicha {

class EmbedProgress {
 public:
  /// `doing` "embedding pictures", `things` "pictures".
  EmbedProgress(std::string doing, std::string things, std::int64_t total);
  ~EmbedProgress();
  EmbedProgress(const EmbedProgress&) = delete;
  EmbedProgress& operator=(const EmbedProgress&) = delete;

  /// `passed_over` of the things done took no work: they do not count for the rate.
  void update(std::int64_t done, std::int64_t passed_over = 0);
  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;

  std::string doing_, things_;
  std::int64_t total_;
  Clock::time_point start_ = Clock::now(), logged_ = start_, drawn_{};
};

/// "embedding pictures 120/2000  34.5 pictures/s  left 55 s".
std::string format_embed_progress(const std::string& doing, const std::string& things, std::int64_t done,
                                  std::int64_t passed_over, std::int64_t total, double seconds);

}  // namespace vicha
