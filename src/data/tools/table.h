// Rows of tables as text: CSV after RFC 4180, with any separator. Our own, because libcsv either swallows the rows
// behind a stray quotation mark or refuses such marks within a cell, and names no line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/manifest/byte_stream.h"

namespace vicha {

/// A cell that begins with a quotation mark goes to the next lone one, over separators and line ends, and holds a mark
/// where two stand; marks within other cells are text. Lines end with LF or CR LF; empty ones are passed over, and so
/// is a byte order mark.
class RowReader {
 public:
  RowReader(const std::filesystem::path& file, char delimiter, bool quotes);

  /// False at the end. Throws DataError naming file and line if a quoted cell has no end, or goes on behind its end, or
  /// a row is longer than 4 MiB.
  bool next(std::vector<std::string>& cells);
  /// Where the row that was read last begins, from 1.
  std::int64_t line() const { return line_; }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& remedy) const;

  std::filesystem::path file_;
  ByteStream stream_;
  char delimiter_;
  bool quotes_;
  std::int64_t line_ = 0, next_line_ = 1;
};

}  // namespace vicha
