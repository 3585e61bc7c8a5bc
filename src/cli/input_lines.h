// Standard input as commands read it that answer a line after the other.
#pragma once

#include <cstdint>
#include <istream>
#include <string>

namespace vicha::cli {

/// Lines without their ends (\n or \r\n) and without a byte order mark before the first. Of a line that is too long,
/// no more than the limit is held.
class InputLines {
 public:
  explicit InputLines(std::istream& in) : bytes_(*in.rdbuf()) {}

  /// False behind the last line. Throws DataError naming the line's number if it has more than kMostRecordBytes
  /// (data/manifest/record_limits.h); the next call goes on with the line behind it.
  bool next(std::string& line);
  std::int64_t number() const { return number_; }  ///< of the line that `next` gave or refused, from 1

 private:
  std::streambuf& bytes_;
  std::int64_t number_ = 0;
};

}  // namespace vicha::cli
