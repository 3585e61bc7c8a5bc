// What mojibake looks like, and the single-byte encodings that make it. Used by mojibake.cpp only.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

namespace vicha::text_detail {

/// Names and members of sets of characters, as the inside of an ICU set.
const std::vector<std::pair<std::string_view, std::string_view>>& mojibake_sets();
/// A text in which any of these is found is likely mojibake.
const std::vector<std::string_view>& mojibake_patterns();

struct Charmap {
  std::string_view name;
  /// Bytes without a meaning stand for the control character of their number, and byte 1A for U+FFFD.
  bool sloppy;
  std::vector<char16_t> high;  ///< characters of the bytes 80 to FF; empty: their own numbers
};
/// In the order in which they are tried.
const std::vector<Charmap>& charmaps();

}  // namespace vicha::text_detail
