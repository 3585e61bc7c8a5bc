// What mojibake looks like, and the single-byte encodings that make it: mojibake_sets.tsv, mojibake_patterns.txt and
// code_pages.tsv, read. Used by mojibake.cpp only, which keeps what it makes of them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vicha::text_detail {

/// By their names the members of sets of characters, as the inside of an ICU set.
std::map<std::string, std::string, std::less<>> mojibake_sets();
/// A text in which any of these is found is likely mojibake.
std::vector<std::string_view> mojibake_patterns();

struct Charmap {
  std::string_view name;
  /// Bytes without a meaning stand for the control character of their number, and byte 1A for U+FFFD.
  bool sloppy;
  std::vector<char16_t> high;  ///< characters of the bytes 80 to FF
};
/// In the order in which they are tried.
std::vector<Charmap> charmaps();

}  // namespace vicha::text_detail
