#include "cli/input_lines.h"

#include <fmt/format.h>

#include "base/error.h"
#include "data/manifest/record_limits.h"

namespace vicha::cli {

bool InputLines::next(std::string& line) {
  constexpr int kEnd = std::char_traits<char>::eof();
  line.clear();
  int c = bytes_.sbumpc();
  if (c == kEnd) return false;
  ++number_;
  bool too_long = false;
  for (; c != kEnd && c != '\n'; c = bytes_.sbumpc()) {
    too_long = too_long || line.size() == kMostRecordBytes;
    if (!too_long) line += static_cast<char>(c);
  }
  if (too_long) {
    line = {};
    throw DataError(fmt::format("standard input, line {}", number_),
                    fmt::format("has more than {} MiB", kMostRecordBytes >> 20),
                    "Each line is read for itself: end it with a line feed");
  }
  if (line.ends_with('\r')) line.pop_back();
  if (number_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
  return true;
}

}  // namespace vicha::cli
