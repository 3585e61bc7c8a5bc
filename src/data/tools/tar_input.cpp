#include "data/tools/tar_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"

namespace vicha {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 18;
constexpr std::string_view kGzip = "\x1f\x8b";
// More zeros in a row than a picture, a text or the end of an archive has: a file that was made large before it was
// written, or a hole.
constexpr std::uint64_t kMostZeros = 256 << 20;

bool all_zeros(const char* from, ssize_t count) {
  return std::all_of(from, from + count, [](char c) { return c == 0; });
}

}  // namespace

/// Several archives of gzip may lie behind one another: `cat a.tar.gz b.tar.gz`.
struct TarInput::Unzip {
  Unzip() : out(kBlock) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    if (inflateInit2(&stream, kGzipOnly) != Z_OK) throw Error("zlib cannot start");
  }
  ~Unzip() { inflateEnd(&stream); }
  Unzip(const Unzip&) = delete;
  Unzip& operator=(const Unzip&) = delete;

  z_stream stream{};
  std::vector<char> out;
  bool between = false, padded = false;
};

TarInput::TarInput(const std::filesystem::path& path) : buffer_(kBlock) {
  require_regular_file(path);
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) throw DataError(path.string(), std::strerror(errno), "Check that it can be read");
  ::fstat(fd_, &before_);
  if (head().starts_with(kGzip)) unzip_ = std::make_unique<Unzip>();
}

TarInput::~TarInput() { ::close(fd_); }

ssize_t TarInput::read(const void*& from) {
  from = unzip_ ? unzip_->out.data() : buffer_.data();
  return unzip_ ? read_unzipped() : read_raw();
}

ssize_t TarInput::read_raw() {
  ssize_t n = 0;
  do {
    n = ::read(fd_, buffer_.data(), buffer_.size());
  } while (n < 0 && errno == EINTR);
  if (n <= 0) return n;
  bytes_ += n;
  hash_.update({buffer_.data(), static_cast<std::size_t>(n)});
  zeros_in_a_row_ = all_zeros(buffer_.data(), n) ? zeros_in_a_row_ + static_cast<std::uint64_t>(n) : 0;
  if (zeros_in_a_row_ <= kMostZeros) return n;
  return stop(
      fmt::format("nothing but zeros from about byte {} on", bytes_ - static_cast<std::int64_t>(zeros_in_a_row_)));
}

ssize_t TarInput::stop(std::string why) {
  fail(std::move(why));
  return -1;
}

// libarchive compares no checksums of gzip, and takes whatever does not begin as another part for the end.
ssize_t TarInput::read_unzipped() {
  z_stream& z = unzip_->stream;
  z.next_out = reinterpret_cast<Bytef*>(unzip_->out.data());
  z.avail_out = static_cast<uInt>(unzip_->out.size());
  while (z.avail_out == unzip_->out.size()) {
    if (z.avail_in == 0) {
      const ssize_t n = read_raw();
      if (n < 0) return n;
      if (n == 0) return unzip_->between ? 0 : stop("the file ends in the middle of what gzip has compressed");
      z.next_in = reinterpret_cast<Bytef*>(buffer_.data());
      z.avail_in = static_cast<uInt>(n);
    }
    if (unzip_->between) {
      if (*z.next_in == 0) {  // padding, of tapes
        ++z.next_in;
        --z.avail_in;
        unzip_->padded = true;
        continue;
      }
      if (unzip_->padded || *z.next_in != 0x1f) {
        return stop(fmt::format("from byte {} on it is not compressed by gzip", bytes_ - z.avail_in));
      }
      inflateReset(&z);
      unzip_->between = false;
    }
    const int result = inflate(&z, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      unzip_->between = true;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return stop(fmt::format("near byte {} gzip says: {}", bytes_ - z.avail_in, z.msg ? z.msg : "damaged"));
    }
  }
  return static_cast<ssize_t>(unzip_->out.size() - z.avail_out);
}

std::string TarInput::why() const { return failed() ? fault_ : std::strerror(errno); }

bool TarInput::changed() const {
  struct stat now {};
  return ::fstat(fd_, &now) != 0 || now.st_size != before_.st_size || now.st_mtim.tv_sec != before_.st_mtim.tv_sec ||
         now.st_mtim.tv_nsec != before_.st_mtim.tv_nsec;
}

std::string TarInput::head() const {
  std::array<char, kFileHead> bytes{};
  const ssize_t n = ::pread(fd_, bytes.data(), bytes.size(), 0);
  return {bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
}

bool TarInput::zeros(std::int64_t begin, std::int64_t end) const {
  std::array<char, 512> block{};
  while (begin < end) {
    const ssize_t n = ::pread(fd_, block.data(), std::min(block.size(), static_cast<std::size_t>(end - begin)), begin);
    if (n <= 0 || !all_zeros(block.data(), n)) return false;
    begin += n;
  }
  return true;
}

}  // namespace vicha
