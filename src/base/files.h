// Reading whole files, and writing them so that a name never stands for half a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace vicha {

namespace fs = std::filesystem;

/// Throws DataError unless the path, links followed, is a regular file: opening a pipe can wait for ever, and a device
/// need not end. For readers that open files by other means than the ones below, which all ask this themselves.
void require_regular_file(const fs::path& path);

/// The whole file, a regular one. Throws DataError naming the path if it cannot be opened or read, or has more than
/// `most` bytes.
std::string read_file(const fs::path& path, std::uint64_t most = UINT64_MAX);

/// Writes beside `path`, syncs, then renames over it. On any failure (disk full included) the temporary file is
/// removed, `path` is left as it was and an Error says what happened. A path that stands for a folder, a pipe or a
/// device is refused: renaming would put the file in its place.
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
  fs::path final_, temporary_;
  int fd_ = -1;
};

/// A folder filled under a temporary name and given its final one by `commit`: readers see all of it or nothing.
/// Without `commit` (an exception on the way) the temporary folder is removed.
class AtomicFolder {
 public:
  explicit AtomicFolder(fs::path final_path);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  const fs::path& path() const { return temporary_; }  ///< write here
  /// Syncs every file and the folders, then renames. An older folder of the final name is replaced.
  void commit();

 private:
  fs::path final_, temporary_;
  bool committed_ = false;
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
