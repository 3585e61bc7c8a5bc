// Nothing is written over what is read. Whoever opens a file through base/files, or asks base/files before opening it
// by other means, is known here; so a command need not compare the names it was given, and links of either kind, other
// spellings of a path and files that a command derives (OUT.dead.jsonl) are seen through.
#pragma once

#include <sys/stat.h>

#include <filesystem>

namespace vicha {

/// While one is alive, files are watched: one a command, made by `cli`. Without one (a library's caller, a test)
/// nothing here does anything.
class FileGuard {
 public:
  FileGuard();
  ~FileGuard();
  FileGuard(const FileGuard&) = delete;
  FileGuard& operator=(const FileGuard&) = delete;
};

/// The file was opened to be read. Throws UsageError if it is one that this command is about to write.
void note_input(const std::filesystem::path& path, const struct stat& info);

/// A file that will be replaced, or that is written where it stands, from its making on.
class GuardedOutput {
 public:
  /// Throws UsageError, naming both, if `path` stands for a file that was read.
  explicit GuardedOutput(const std::filesystem::path& path);
  ~GuardedOutput();
  GuardedOutput(const GuardedOutput&) = delete;
  GuardedOutput& operator=(const GuardedOutput&) = delete;

  /// What stands under the name now was written by this command: it may be read, and written again.
  void done();

 private:
  std::filesystem::path path_;
  dev_t device_ = 0;
  ino_t file_ = 0;
  bool known_ = false;
};

/// As GuardedOutput's constructor, for a folder that will be replaced as a whole: throws if a file in it was read.
void require_no_input_below(const std::filesystem::path& folder);

/// What stands at `path`, if anything, is what an earlier run of this command left to go on with: reading it does not
/// make it an input. Throws UsageError if it was read as one before.
void go_on_with(const std::filesystem::path& path);

}  // namespace vicha
