// A file read from front to back that knows where it is. For std::istream, whose own tellg is too slow to call often.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <streambuf>
#include <string_view>
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
  /// What is in memory of the bytes that come, at least one unless the end is reached; `skip` takes some of them.
  std::string_view ahead() { return at_end() ? std::string_view() : std::string_view(gptr(), egptr()); }
  void skip(std::size_t bytes) { setg(eback(), gptr() + bytes, egptr()); }

 protected:
  int_type underflow() override;

 private:
  std::filesystem::path path_;
  std::ifstream file_;
  std::vector<char> buffer_;
  std::uint64_t before_ = 0;  // bytes and lines ahead of the buffer
  std::int64_t lines_before_ = 1;
};

}  // namespace vicha
