#include "train/run_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/log.h"

namespace vicha {

namespace fs = std::filesystem;

namespace {

std::string this_process() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return fmt::format("host {}, process {}\n", name, ::getpid());
}

std::string holder(int fd) {
  char text[512];
  const ssize_t n = ::pread(fd, text, sizeof text, 0);
  const std::string line(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  const std::size_t end = line.find('\n');
  return end == std::string::npos ? "" : fmt::format(" ({})", line.substr(0, end));
}

/// Whether the name still stands for this file: who ends removes it.
bool stands_for(const fs::path& path, int fd) {
  struct stat open {
  }, named{};
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
         open.st_dev == named.st_dev;
}

}  // namespace

RunLock::RunLock(const fs::path& out) : out_(out), file_(out / "run.lock") {
  std::error_code failed;
  made_folder_ = fs::create_directories(out, failed);
  if (failed) {
    throw DataError(out.string(), "cannot be made (" + failed.message() + ")", "Name another folder for the run");
  }
  for (;;) {
    fd_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd_ < 0) {
      throw DataError(file_.string(), fmt::format("cannot be written ({})", std::strerror(errno)),
                      "Check the folder's permissions, or name another one");
    }
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) {
      if (stands_for(file_, fd_)) break;
    } else if (errno == EWOULDBLOCK) {
      const std::string by = holder(fd_);
      ::close(fd_);
      throw DataError(out.string(), "is being written by another run" + by,
                      "Wait for that one or end it, or name another folder");
    } else {
      log::warning("{}: this file system has no locks ({}); see to it that no other run writes into the folder",
                   file_.string(), std::strerror(errno));
      break;
    }
    ::close(fd_);
  }
  on_signal_.emplace(file_);
  const std::string text = this_process();
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, text.data(), text.size(), 0) < 0) {
    log::debug("{}: cannot be written ({})", file_.string(), std::strerror(errno));  // it locks all the same
  }
}

RunLock::~RunLock() {
  on_signal_.reset();
  std::error_code ignored;
  fs::remove(file_, ignored);  // while it is locked: who opened it meanwhile looks at the name again
  ::close(fd_);
  if (made_folder_) fs::remove(out_, ignored);  // only if nothing came into it
}

}  // namespace vicha
