#include "base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace vicha {
namespace {

class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags, mode_t mode = 0644)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::string reason() { return std::strerror(errno); }

void require_regular(const struct stat& info, const fs::path& path) {
  const auto kind = info.st_mode & S_IFMT;
  if (kind == S_IFREG) return;
  throw DataError(path.string(), std::string(kind == S_IFDIR    ? "is a folder"
                                             : kind == S_IFIFO  ? "is a pipe"
                                             : kind == S_IFSOCK ? "is a socket"
                                                                : "is a device") +
                                     ", not a file");
}

constexpr std::uint64_t kMostWithoutSize = 64 << 20;

/// Asked before opening, as opening a device can do things, and after it, as the path may stand for another by then.
Descriptor open_regular(const fs::path& path, std::uint64_t& size) {
  require_regular_file(path);
  Descriptor file(path, O_RDONLY | O_NONBLOCK);
  if (!file.open()) throw DataError(path.string(), "cannot open (" + reason() + ")");
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throw DataError(path.string(), "cannot read (" + reason() + ")");
  require_regular(info, path);
  size = static_cast<std::uint64_t>(info.st_size);
  return file;
}

/// What a rename would replace must be a file, or nothing.
void require_replaceable(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    throw Error(path.string() + ": is a " + (S_ISDIR(info.st_mode) ? "folder" : "pipe or a device") +
                ", which a file would replace. Give the name of a file");
  }
}

void append(int fd, std::string_view data, const fs::path& path) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      throw Error(path.string() + ": cannot write (" + reason() +
                  "). Nothing was left under that name; free space or " + "choose another folder and repeat");
    }
    data.remove_prefix(static_cast<std::size_t>(n));
  }
}

void sync_path(const fs::path& path) {
  Descriptor file(path, O_RDONLY);
  if (!file.open() || ::fsync(file.get()) != 0) throw Error(path.string() + ": cannot sync to disk (" + reason() + ")");
}

void rename_or_throw(const fs::path& from, const fs::path& to) {
  std::error_code failed;
  fs::rename(from, to, failed);
  if (failed) throw Error(to.string() + ": cannot give the finished file its name (" + failed.message() + ")");
}

fs::path parent_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

}  // namespace

void require_regular_file(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) throw DataError(path.string(), "cannot open (" + reason() + ")");
  require_regular(info, path);
}

std::string read_file(const fs::path& path, std::uint64_t most) {
  std::uint64_t size = 0;
  const Descriptor file = open_regular(path, size);
  // /proc has files without a size, so those are read to their end; others no further than they were long.
  const std::uint64_t end = std::min(most, size == 0 ? kMostWithoutSize : size);
  std::string content;
  std::size_t done = 0;
  if (size <= most) content.resize(static_cast<std::size_t>(size));
  while (size <= most && done <= end && (size == 0 || done < size)) {
    if (done == content.size()) content.resize(content.size() + 65536);
    const ssize_t n = ::read(file.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw DataError(path.string(), "cannot read (" + reason() + ")");
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  if (size > most || done > end) {
    throw DataError(path.string(), "is larger than " + std::to_string(end) + " bytes, the most that it may be");
  }
  content.resize(done);
  return content;
}

AtomicFile::AtomicFile(fs::path final_path) : final_(std::move(final_path)) {
  require_replaceable(final_);
  const fs::path folder = parent_of(final_);
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  temporary_ = folder / ("." + final_.filename().string() + ".tmp." + std::to_string(::getpid()));
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) throw Error(final_.string() + ": cannot create a file in this folder (" + reason() + ")");
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove(temporary_, ignored);
}

void AtomicFile::append(std::string_view piece) { vicha::append(fd_, piece, final_); }

void AtomicFile::commit() {
  require_replaceable(final_);
  if (::fsync(fd_) != 0 || ::close(std::exchange(fd_, -1)) != 0) {
    throw Error(final_.string() + ": cannot write (" + reason() + ")");
  }
  rename_or_throw(temporary_, final_);
  temporary_.clear();
}

void write_file_atomic(const fs::path& path,
                       const std::function<void(const std::function<void(std::string_view)>&)>& produce) {
  AtomicFile file(path);
  produce([&](std::string_view piece) { file.append(piece); });
  file.commit();
}

void write_file_atomic(const fs::path& path, std::string_view content) {
  write_file_atomic(path, [&](const auto& out) { out(content); });
}

AtomicFolder::AtomicFolder(fs::path final_path) : final_(std::move(final_path)) {
  if (fs::exists(final_) && !fs::is_directory(final_)) throw Error(final_.string() + ": is there and no folder");
  temporary_ = parent_of(final_) / ("." + final_.filename().string() + ".tmp." + std::to_string(::getpid()));
  std::error_code failed;
  fs::remove_all(temporary_, failed);
  fs::create_directories(temporary_, failed);
  if (failed) throw Error(temporary_.string() + ": cannot create the folder (" + failed.message() + ")");
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  for (const auto& entry : fs::recursive_directory_iterator(temporary_)) sync_path(entry.path());
  sync_path(temporary_);
  const fs::path old = parent_of(final_) / ("." + final_.filename().string() + ".old." + std::to_string(::getpid()));
  std::error_code ignored;
  const bool replaced = fs::exists(final_);
  if (replaced) rename_or_throw(final_, old);
  rename_or_throw(temporary_, final_);
  sync_path(parent_of(final_));
  if (replaced) fs::remove_all(old, ignored);
  committed_ = true;
}

MappedFile::MappedFile(const fs::path& path) {
  std::uint64_t size = 0;
  const Descriptor file = open_regular(path, size);
  size_ = static_cast<std::size_t>(size);
  if (size_ == 0) return;
  void* at = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (at == MAP_FAILED) throw DataError(path.string(), "cannot map into memory (" + reason() + ")");
  data_ = static_cast<const std::byte*>(at);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace vicha
