#include "data/manifest/byte_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"

namespace vicha {

ByteStream::ByteStream(const std::filesystem::path& file) : path_(file), buffer_(std::size_t{1} << 16) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) {
    throw DataError(file.string(), "is a folder, not a manifest", "Name the JSON file itself");
  }
  if (std::filesystem::exists(file, ignored)) require_regular_file(file);
  errno = 0;
  file_.open(file, std::ios::binary);
  if (!file_) {
    throw DataError(file.string(), std::string("cannot open (") + std::strerror(errno) + ")", "Check the path");
  }
  setg(buffer_.data(), buffer_.data(), buffer_.data());
}

std::int64_t ByteStream::line() const { return lines_before_ + std::count(eback(), gptr(), '\n'); }

ByteStream::int_type ByteStream::underflow() {
  if (gptr() < egptr()) return traits_type::to_int_type(*gptr());
  lines_before_ = line();
  before_ = position();
  setg(buffer_.data(), buffer_.data(), buffer_.data());
  file_.read(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  if (file_.bad()) throw DataError(path_.string(), "cannot read (the disk reports an error)", "Copy the file again");
  if (file_.gcount() == 0) return traits_type::eof();
  setg(buffer_.data(), buffer_.data(), buffer_.data() + file_.gcount());
  return traits_type::to_int_type(*gptr());
}

}  // namespace vicha
