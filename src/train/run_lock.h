// One run at a time writes into a folder.
#pragma once

#include <filesystem>
#include <optional>

#include "base/signals.h"

namespace vicha {

/// Holds OUT/run.lock, making the folder if need be, for as long as it lives. The lock is the system's, on the open
/// file: it ends with the process, whatever ends that, and a file that a crash left behind locks nothing.
class RunLock {
 public:
  /// Throws DataError naming the folder and the machine and process that hold it.
  explicit RunLock(const std::filesystem::path& out);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  std::filesystem::path out_, file_;
  bool made_folder_ = false;
  int fd_ = -1;
  std::optional<RemovedOnSignal> on_signal_;
};

}  // namespace vicha
