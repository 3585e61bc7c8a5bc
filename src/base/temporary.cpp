#include "base/temporary.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "base/error.h"

namespace vicha {

namespace fs = std::filesystem;

namespace {

// ".<name>.vicha-<machine>-<process>-<number>.tmp"
constexpr std::string_view kMark = ".vicha-", kEnd = ".tmp";
constexpr std::size_t kLongestStem = 160;  // of a name's 255 bytes

/// Tells machines apart that share a folder.
std::string machine() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  std::uint64_t hash = 14695981039346656037ull;
  for (const char c : std::string_view(name)) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  char text[16];
  std::snprintf(text, sizeof text, "%08x", static_cast<unsigned>(hash ^ (hash >> 32)));
  return text;
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

bool is_of_this_machine(std::string_view name) {
  if (!name.starts_with('.') || !name.ends_with(kEnd)) return false;
  const std::size_t mark = name.rfind(kMark);
  return mark != std::string_view::npos && name.substr(mark + kMark.size()).starts_with(machine() + "-");
}

int open_to_lock(const fs::path& path) { return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC); }

bool still_there(int fd, const fs::path& path) {
  struct stat open {
  }, named{};
  return ::fstat(fd, &open) == 0 && ::lstat(path.c_str(), &named) == 0 && open.st_dev == named.st_dev &&
         open.st_ino == named.st_ino;
}

/// Opens the new file or folder and locks it; -1 with errno EEXIST if the name is taken, or another process took it for
/// a leftover before it was locked.
int make(const fs::path& path, Temporary::Kind kind) {
  int fd = -1;
  if (kind == Temporary::Kind::kFile) {
    fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  } else if (::mkdir(path.c_str(), 0755) == 0) {
    fd = open_to_lock(path);
    if (fd < 0 && errno == ENOENT) errno = EEXIST;
  }
  // On a file system without locks nobody can lock it, and so nobody removes it.
  if (fd < 0 || ::flock(fd, LOCK_EX) != 0 || still_there(fd, path)) return fd;
  ::close(fd);
  errno = EEXIST;
  return -1;
}

}  // namespace

fs::path vanishing_name(const fs::path& path) {
  static std::atomic<std::uint64_t> number = 0;
  const std::string stem = path.filename().string().substr(0, kLongestStem);
  std::string name = "." + stem;
  name.append(kMark).append(machine()) += "-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
  return folder_of(path) / name.append(kEnd);
}

Temporary::Temporary(const fs::path& final_path, Kind kind) {
  remove_leftovers_once(folder_of(final_path));
  int attempts = 0;
  do {
    path_ = vanishing_name(final_path);
    fd_ = make(path_, kind);
  } while (fd_ < 0 && errno == EEXIST && ++attempts < 100);
  if (fd_ >= 0) return;
  const std::string reason = std::strerror(errno);
  path_.clear();
  throw Error(final_path.string() + ": cannot create a " + (kind == Kind::kFile ? "file" : "folder") +
              " in this folder (" + reason + "). Check that it is there and may be written, or name another");
}

Temporary::~Temporary() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
  if (fd_ >= 0) ::close(fd_);
}

void remove_leftovers(const fs::path& folder) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    if (!is_of_this_machine(entry.path().filename().native())) continue;
    const int fd = open_to_lock(entry.path());
    if (fd < 0) continue;
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0 && still_there(fd, entry.path())) fs::remove_all(entry.path(), ignored);
    ::close(fd);
  }
}

void remove_leftovers_once(const fs::path& folder) {
  static std::mutex mutex;
  static std::set<fs::path> seen;
  {
    const std::lock_guard lock(mutex);
    if (is_of_this_machine(folder.filename().native()) || !seen.insert(folder).second) return;
  }
  remove_leftovers(folder);
}

}  // namespace vicha
