// Reading whole files, and writing them so that a name never stands for half a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/file_guard.h"

namespace vicha {

namespace fs = std::filesystem;

class Temporary;

/// Throws DataError unless the path, links followed, is a regular file: opening a pipe can wait for ever, and a device
/// need not end; files of /proc and /sys are regular by name only, and refused too. It counts as read by this command
/// from here on (base/file_guard.h). For readers that open files by other means than the ones below, which all ask this
/// themselves.
void require_regular_file(const fs::path& path);

/// The file as a stream, asked as by require_regular_file. Throws DataError if it cannot be opened.
std::ifstream open_input(const fs::path& path);

/// What a file that is held in memory whole may have, unless its reader says otherwise: far more than any recipe,
/// vocabulary or index of weights.
inline constexpr std::uint64_t kMostBytes = std::uint64_t{512} << 20;

/// The whole file, a regular one. Throws DataError naming the path if it cannot be opened or read, or has more than
/// `most` bytes, and then nothing is read.
std::string read_file(const fs::path& path, std::uint64_t most = kMostBytes);

/// Writes beside `path`, syncs, then renames over it. On any failure (disk full included) the temporary file is
/// removed, `path` is left as it was and an Error says what happened; what a kill leaves is removed by the next that
/// writes in the folder. A path that stands for a folder, a pipe, a socket or a device is refused, as renaming would
/// put the file in its place, and so is one that this command reads.
void write_file_atomic(const fs::path& path, std::string_view content);

/// The same for content made piece by piece; `produce` is called with a function that appends.
void write_file_atomic(const fs::path& path,
                       const std::function<void(const std::function<void(std::string_view)>&)>& produce);

/// A file written piece by piece under a temporary name and given its final one by `commit`. Without `commit` the
/// temporary file is removed. Throws Error as write_file_atomic does.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path final_path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void append(std::string_view piece);  ///< one system call each: collect small pieces first
  /// Syncs and renames.
  void commit();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A folder filled under a temporary name and given its final one by `commit`: readers see all of it or nothing.
/// Without `commit` (an exception on the way) the temporary folder is removed.
class AtomicFolder {
 public:
  /// Throws Error if `final_path` is there and no folder, UsageError if this command reads a file in it.
  explicit AtomicFolder(fs::path final_path);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  const fs::path& path() const;  ///< write here
  /// Syncs every file and the folders, then renames. An older folder of the final name is replaced.
  void commit();

 private:
  fs::path final_;
  std::unique_ptr<Temporary> temporary_;
};

/// A file that is written where it stands: a journal, a log, a store that grows. Made if it is not there, and the
/// folders above it. Throws DataError unless it is a regular file that this command does not read, Error if it cannot
/// be opened.
class GrowingFile {
 public:
  enum class Access { kAppend, kReadWrite };
  GrowingFile(const fs::path& path, Access access);
  ~GrowingFile();
  GrowingFile(const GrowingFile&) = delete;
  GrowingFile& operator=(const GrowingFile&) = delete;

  int fd() const { return fd_; }
  /// Its own lines are read back: they are no input.
  void reads_back() { guard_.done(); }

 private:
  GuardedOutput guard_;
  int fd_ = -1;
};

/// A read-only memory map of a file; empty files map to an empty span.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace vicha
