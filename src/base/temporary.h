// Names under which files and folders are written until they are whole, and what is left of them when a process is
// killed: removed by the next one that writes beside them.
#pragma once

#include <filesystem>

namespace vicha {

/// A new file or folder beside `final_path`, hidden, and locked for as long as this lives: the lock, which ends with
/// the process whatever ends it, is how others tell it from a leftover. Throws Error naming `final_path`.
class Temporary {
 public:
  enum class Kind { kFile, kFolder };
  Temporary(const std::filesystem::path& final_path, Kind kind);
  ~Temporary();  ///< removes it, unless it has got another name
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const std::filesystem::path& path() const { return path_; }
  int fd() const { return fd_; }
  /// It has its final name now.
  void renamed() { path_.clear(); }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

/// A name of that kind beside `path`, for what is to vanish: renamed to it, it is removed here or by a later process.
std::filesystem::path vanishing_name(const std::filesystem::path& path);

/// Removes from the folder what processes of this machine were writing when they were killed. Of other machines, which
/// may share the folder, nothing is known, so theirs stays; and so does whatever a living process has locked.
void remove_leftovers(const std::filesystem::path& folder);

/// The same, once for each folder in a process.
void remove_leftovers_once(const std::filesystem::path& folder);

}  // namespace vicha
