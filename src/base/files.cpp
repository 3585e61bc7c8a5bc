#include "base/files.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/signals.h"
#include "base/temporary.h"

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

/// "a pipe"; empty for a regular file.
std::string other_kind(const struct stat& info) {
  switch (info.st_mode & S_IFMT) {
    case S_IFREG:
      return "";
    case S_IFDIR:
      return "a folder";
    case S_IFIFO:
      return "a pipe";
    case S_IFSOCK:
      return "a socket";
    default:
      return "a device";
  }
}

void require_regular(const struct stat& info, const fs::path& path) {
  const std::string kind = other_kind(info);
  if (kind.empty()) return;
  throw DataError(path.string(), "is " + kind + ", not a regular file",
                  kind == "a folder" ? "Name a file in it" : "Write what it gives to a file, and name that");
}

/// Whether the kernel makes the file up while it is read, as under /proc and /sys: it is regular by its kind, but has
/// no size, and some (/proc/kmsg, a trace) have no end or make who reads them wait for ever.
bool is_made_up(const struct stat& info, const fs::path& path) {
  if (info.st_blocks != 0) return false;  // over a network the next question costs more
  struct statfs system {};
  if (::statfs(path.c_str(), &system) != 0) return false;
  constexpr std::uint32_t kKinds[] = {PROC_SUPER_MAGIC, SYSFS_MAGIC,        TRACEFS_MAGIC,       DEBUGFS_MAGIC,
                                      SECURITYFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, BPF_FS_MAGIC};
  return std::ranges::find(kKinds, static_cast<std::uint32_t>(system.f_type)) != std::end(kKinds);
}

void require_kept(const struct stat& info, const fs::path& path) {
  if (!is_made_up(info, path)) return;
  throw DataError(path.string(), "is made up by the kernel while it is read, and may have no end",
                  "Write what it gives to a file, and name that");
}

/// Other file systems than the kernel's own may say of a file that it has no size, too.
constexpr std::uint64_t kMostWithoutSize = 64 << 20;

/// Asked before opening, as opening a device can do things, and after it, as the path may stand for another by then.
Descriptor open_regular(const fs::path& path, std::uint64_t& size) {
  require_regular_file(path);
  Descriptor file(path, O_RDONLY | O_NONBLOCK);
  if (!file.open()) throw DataError(path.string(), "cannot open (" + reason() + ")");
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throw DataError(path.string(), "cannot read (" + reason() + ")");
  require_regular(info, path);
  note_input(path, info);
  size = static_cast<std::uint64_t>(info.st_size);
  return file;
}

/// What a rename would replace must be a file, or nothing.
void require_replaceable(const fs::path& path) {
  struct stat info {};
  if (path.filename().empty()) throw Error(path.string() + ": is the name of a folder. Give the name of a file");
  if (::stat(path.c_str(), &info) != 0) return;
  const std::string kind = other_kind(info);
  if (!kind.empty()) {
    throw Error(path.string() + ": is " + kind + ", which a file would replace. Give the name of a file");
  }
}

std::string write_failed() {
  const int why = errno;
  return std::string("cannot write (") + std::strerror(why) + "). Nothing was left under that name; " +
         (why == EFBIG ? "raise the limit of a file's size (ulimit -f)" : "free space") +
         " or choose another folder, and repeat";
}

void append(int fd, std::string_view data, const fs::path& path) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Error(path.string() + ": " + write_failed());
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
  require_kept(info, path);
  note_input(path, info);
}

std::ifstream open_input(const fs::path& path) {
  require_regular_file(path);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw DataError(path.string(), "cannot open (" + reason() + ")");
  return file;
}

std::string read_file(const fs::path& path, std::uint64_t most) {
  std::uint64_t size = 0;
  const Descriptor file = open_regular(path, size);
  // What claims no size is read to its end; others no further than they were long.
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

struct AtomicFile::Impl {
  static const fs::path& checked(const fs::path& path) {
    require_replaceable(path);
    std::error_code ignored;  // the file cannot be made then, which says more
    fs::create_directories(parent_of(path), ignored);
    return path;
  }
  explicit Impl(fs::path path)
      : final(std::move(path)),
        guard(checked(final)),
        temporary(final, Temporary::Kind::kFile),
        file(temporary.path()) {}

  fs::path final;
  GuardedOutput guard;
  Temporary temporary;
  RemovedOnSignal file;
};

AtomicFile::AtomicFile(fs::path final_path) : impl_(std::make_unique<Impl>(std::move(final_path))) {}
AtomicFile::~AtomicFile() = default;

void AtomicFile::append(std::string_view piece) { vicha::append(impl_->temporary.fd(), piece, impl_->final); }

void AtomicFile::commit() {
  require_replaceable(impl_->final);
  if (::fsync(impl_->temporary.fd()) != 0) throw Error(impl_->final.string() + ": " + write_failed());
  rename_or_throw(impl_->temporary.path(), impl_->final);
  impl_->temporary.renamed();
  impl_->guard.done();
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
  if (fs::exists(final_) && !fs::is_directory(final_)) {
    throw Error(final_.string() + ": is there and no folder. Name another one");
  }
  require_no_input_below(final_);
  std::error_code ignored;  // the folder cannot be made then, which says more
  fs::create_directories(parent_of(final_), ignored);
  temporary_ = std::make_unique<Temporary>(final_, Temporary::Kind::kFolder);
}

AtomicFolder::~AtomicFolder() = default;

const fs::path& AtomicFolder::path() const { return temporary_->path(); }

void AtomicFolder::commit() {
  for (const auto& entry : fs::recursive_directory_iterator(path())) sync_path(entry.path());
  sync_path(path());
  const bool replaces = fs::exists(final_);
  // In one step where the file system can; elsewhere the old folder stands under a name that nobody removes until the
  // new one is there.
  if (replaces && ::renameat2(AT_FDCWD, path().c_str(), AT_FDCWD, final_.c_str(), RENAME_EXCHANGE) == 0) {
    sync_path(parent_of(final_));
    return;  // what is under the temporary name now is the old one, and goes with it
  }
  const fs::path old = parent_of(final_) / ("." + final_.filename().string() + ".old");
  if (replaces) rename_or_throw(final_, old);
  rename_or_throw(path(), final_);
  temporary_->renamed();
  sync_path(parent_of(final_));
  std::error_code ignored;
  if (replaces) fs::remove_all(old, ignored);
}

GrowingFile::GrowingFile(const fs::path& path, Access access) : guard_(path) {
  struct stat info {};
  const auto refuse_other = [&] {
    const std::string kind = other_kind(info);
    if (!kind.empty()) throw DataError(path.string(), "is " + kind + ", not a regular file", "Give the name of a file");
  };
  if (::stat(path.c_str(), &info) == 0) refuse_other();
  std::error_code ignored;  // the file cannot be made then, which says more
  fs::create_directories(parent_of(path), ignored);
  const int flags = access == Access::kAppend ? O_WRONLY | O_APPEND : O_RDWR;
  fd_ = ::open(path.c_str(), flags | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644);
  if (fd_ < 0) {
    throw Error(path.string() + ": cannot be opened for writing (" + reason() +
                "). Check the folder's permissions, or name another file");
  }
  if (::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode)) return;
  ::close(fd_);
  refuse_other();
}

GrowingFile::~GrowingFile() {
  if (fd_ >= 0) ::close(fd_);
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
