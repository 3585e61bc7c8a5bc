// Ctrl-C and `kill` end a run after the step it is in, with a checkpoint.
#pragma once

#include <csignal>

namespace vicha {

/// While alive, the first SIGINT or SIGTERM is only noted; a second one of the same kind kills, as by default. One at a
/// time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The signal that came, or 0.
  int caught() const;

 private:
  struct sigaction interrupt_ {
  }, terminate_{};
};

}  // namespace vicha
