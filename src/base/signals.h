// What signals do to a command: it ends within seconds, wherever it is, and leaves no half-written file behind.
#pragma once

#include <csignal>
#include <filesystem>

namespace vicha {

/// From here on SIGINT, SIGTERM and SIGHUP remove the temporary files that are being written, say what came on standard
/// error and end the process as they would by default, in whatever call it waits. Writing beyond the limit of a file's
/// size becomes an error that names the file. For `cli`, once.
void end_cleanly_on_signals();

/// For work that ends in good order when it is asked to: while one is alive, the first SIGINT or SIGTERM is only noted,
/// and whoever works looks at `caught` every few seconds. A second one ends the process at once. One at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The signal that came, or 0.
  int caught() const;

  /// While alive, a signal ends the process at once all the same: for parts of the work that nobody interrupts.
  class AtOnce {
   public:
    AtOnce();
    ~AtOnce();
    AtOnce(const AtOnce&) = delete;
    AtOnce& operator=(const AtOnce&) = delete;

   private:
    std::sig_atomic_t noting_;
  };

 private:
  struct sigaction interrupt_ {
  }, terminate_{};
};

/// A file that a signal which ends the process removes. For base/files.
class RemovedOnSignal {
 public:
  explicit RemovedOnSignal(const std::filesystem::path& file);
  ~RemovedOnSignal();
  RemovedOnSignal(const RemovedOnSignal&) = delete;
  RemovedOnSignal& operator=(const RemovedOnSignal&) = delete;

 private:
  int slot_ = -1;
};

}  // namespace vicha
