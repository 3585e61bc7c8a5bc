// The bytes of a tar archive's file, unpacked where gzip has compressed it, and what they hash to.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/sha256.h"

namespace vicha {

/// The file, read once from its first byte to its last.
class TarInput {
 public:
  /// Throws DataError where it is not a regular file, or cannot be opened.
  explicit TarInput(const std::filesystem::path& path);
  ~TarInput();
  TarInput(const TarInput&) = delete;
  TarInput& operator=(const TarInput&) = delete;

  /// The archive's next bytes and how many: gzip's content, its checksums compared, other files' as they are. 0 at the
  /// end, -1 where no more can be read (`why`). They hold until the next call.
  ssize_t read(const void*& from);
  /// The file's own next bytes, which are of no use to the caller but that they are hashed.
  ssize_t read_raw();

  /// Ends reading: from now on `why` is this.
  void fail(std::string why) { fault_ = std::move(why); }
  bool failed() const { return !fault_.empty(); }
  std::string why() const;

  bool gzip() const { return unzip_ != nullptr; }
  std::int64_t size() const { return before_.st_size; }  ///< bytes, when it was opened
  std::int64_t bytes_read() const { return bytes_; }
  /// Whether it is another file by now.
  bool changed() const;
  /// The SHA-256 of what has been read.
  std::string hash() { return hash_.hex(); }

  /// The file's first kFileHead bytes, whatever has been read.
  std::string head() const;
  /// Whether only zeros lie from byte `begin` to `end` of the file.
  bool zeros(std::int64_t begin, std::int64_t end) const;

 private:
  struct Unzip;

  ssize_t read_unzipped();
  ssize_t stop(std::string why);

  std::vector<char> buffer_;
  std::int64_t bytes_ = 0;
  std::uint64_t zeros_in_a_row_ = 0;
  std::string fault_;
  int fd_ = -1;
  struct stat before_ {};
  Sha256 hash_;
  std::unique_ptr<Unzip> unzip_;
};

}  // namespace vicha
