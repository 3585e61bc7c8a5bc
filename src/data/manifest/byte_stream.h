// A file read from front to back that knows where it is. For std::istream, whose own tellg is too slow to ask often.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <streambuf>
#include <vector>

namespace vicha {

class ByteStream : public std::streambuf {
 public:
  /// Throws DataError naming the file if it cannot be opened.
  explicit ByteStream(const std::filesystem::path& file);

  /// Bytes taken so far.
  std::uint64_t position() const { return before_ + static_cast<std::uint64_t>(gptr() - eback()); }
  /// The line of the next byte, from 1.
  std::int64_t line() const;
  /// Whether nothing is left.
  bool at_end() { return sgetc() == traits_type::eof(); }
  /// Whether somebody has already met the end.
  bool end_seen() const { return end_seen_; }

 protected:
  int_type underflow() override;

 private:
  std::filesystem::path path_;
  std::ifstream file_;
  std::vector<char> buffer_;
  std::uint64_t before_ = 0;  // bytes and lines ahead of the buffer
  std::int64_t lines_before_ = 1;
  bool end_seen_ = false;
};

}  // namespace vicha
