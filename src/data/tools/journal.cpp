#include "data/tools/journal.h"

#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"

namespace vicha {

fs::path journal_of(const fs::path& out) { return out.string() + ".partial"; }

Journal::Journal(fs::path file, std::string_view heading)
    : file_(std::move(file)),
      open_(std::make_unique<GrowingFile>(file_, GrowingFile::Access::kReadWrite)),
      fd_(open_->fd()) {
  VICHA_ASSERT(heading.find('\n') == std::string_view::npos);
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      throw DataError(file_.string(), "is being written by another process", "Wait for it, or end it");
    }
    throw Error(fmt::format("{}: cannot be locked ({})", file_.string(), std::strerror(errno)));
  }
  old_.open(file_, std::ios::binary);
  reading_ = true;
  std::string first;
  const bool any = next(first);
  heading_end_ = heading.size() + 1;
  if (!any || first != heading) {
    if (any) log::info("{} is of other options: begun anew", file_.string());
    begin_anew(heading);
  }
}

Journal::~Journal() {
  std::error_code ignored;
  if (open_ && fs::file_size(file_, ignored) <= heading_end_) fs::remove(file_, ignored);
}

void Journal::begin_anew(std::string_view heading) {
  reading_ = false;
  kept_ = 0;
  add(heading);
  flush();
}

bool Journal::next(std::string& line) {
  if (!reading_) return false;
  if (!std::getline(old_, line) || old_.eof()) {  // at its end without a line's: the run before was killed in it
    reading_ = false;
    return false;
  }
  before_last_ = kept_;
  kept_ += line.size() + 1;
  return true;
}

void Journal::reject() {
  reading_ = false;
  kept_ = before_last_;
}

void Journal::add(std::string_view line) {
  reading_ = false;
  unwritten_ += line;
  unwritten_ += '\n';
}

void Journal::flush() {
  if (unwritten_.empty()) return;  // what is unread stays
  if (!std::exchange(cut_, true) &&
      (::ftruncate(fd_, static_cast<off_t>(kept_)) != 0 || ::lseek(fd_, 0, SEEK_END) < 0)) {
    throw Error(fmt::format("{}: cannot be written ({})", file_.string(), std::strerror(errno)));
  }
  for (std::string_view left = unwritten_; !left.empty();) {
    const ssize_t n = ::write(fd_, left.data(), left.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      throw Error(fmt::format("{}: cannot be written ({}). Free space on the disk and repeat: it goes on from there",
                              file_.string(), std::strerror(errno)));
    }
    left.remove_prefix(static_cast<std::size_t>(n));
  }
  unwritten_.clear();
}

void Journal::remove() {
  std::error_code ignored;
  fs::remove(file_, ignored);
  open_.reset();
}

}  // namespace vicha
