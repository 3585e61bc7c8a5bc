#include "train/append_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace vicha {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
  throw Error(path.string() + ": " + what + " (" + std::strerror(errno) +
              "). Free space or check the folder's permissions, then resume");
}

}  // namespace

AppendFile::AppendFile(std::filesystem::path path)
    : path_(std::move(path)), file_(std::make_unique<GrowingFile>(path_, GrowingFile::Access::kAppend)) {}

void AppendFile::write(std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::write(file_->fd(), data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path_, "cannot write");
    data.remove_prefix(static_cast<std::size_t>(n));
  }
}

void AppendFile::sync() {
  if (::fsync(file_->fd()) != 0) fail(path_, "cannot sync to disk");
}

}  // namespace vicha
