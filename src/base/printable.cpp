#include "base/printable.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace vicha {
namespace {

struct Range {
  std::uint32_t first, last;
};

/// Beyond the control characters: all that Unicode has no ink for and that changes how its neighbours look. Variation
/// selectors are left out, as emoji are written with them.
constexpr Range kUnseen[] = {
    {0x00AD, 0x00AD},    // soft hyphen
    {0x034F, 0x034F},    // combining grapheme joiner
    {0x061C, 0x061C},    // Arabic letter mark
    {0x115F, 0x1160},    // Hangul fillers
    {0x17B4, 0x17B5},    // Khmer inherent vowels
    {0x180B, 0x180F},    // Mongolian separators
    {0x200B, 0x200F},    // zero width, marks of direction
    {0x2028, 0x202E},    // separators of lines and paragraphs, embeddings and overrides of direction
    {0x2060, 0x206F},    // word joiner, invisible operators, isolates of direction
    {0x3164, 0x3164},    // Hangul filler
    {0xFDD0, 0xFDEF},    // no characters
    {0xFEFF, 0xFEFF},    // byte order mark
    {0xFFA0, 0xFFA0},    // Hangul filler
    {0xFFF0, 0xFFFB},    // annotations between lines
    {0xFFFE, 0xFFFF},    // no characters
    {0x1BCA0, 0x1BCA3},  // shorthand format controls
    {0x1D173, 0x1D17A},  // musical format controls
    {0xE0000, 0xE0FFF},  // tags
};

bool is_unseen(std::uint32_t c) {
  if (c >= 0x80 && c < 0xA0) return true;
  for (const Range& range : kUnseen) {
    if (c >= range.first && c <= range.last) return true;
  }
  return false;
}

/// Bytes of the character at the start of `text`, 0 if they are no UTF-8 (overlong forms and surrogates are none).
std::size_t decode(std::string_view text, std::uint32_t& c) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xC2 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length == 0 || length > text.size()) return 0;
  c = length == 1 ? lead : lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    c = (c << 6) | (byte(i) & 0x3F);
  }
  const bool overlong = (length == 3 && c < 0x800) || (length == 4 && c < 0x10000);
  return overlong || (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF ? 0 : length;
}

std::string escaped(std::string_view text, bool keep_layout) {
  std::string out;
  out.reserve(text.size());
  const auto put = std::back_inserter(out);
  // Nearly all of it is plain: listings of 200,000 tensors come through here.
  const auto plain = [](char c) { return c >= ' ' && c < 0x7F; };
  while (!text.empty()) {
    const auto end = std::find_if_not(text.begin(), text.end(), plain);
    out.append(text.begin(), end);
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
    if (text.empty()) break;
    std::uint32_t c = 0;
    const std::size_t length = decode(text, c);
    if (length == 0) {
      fmt::format_to(put, "\\x{:02x}", static_cast<unsigned char>(text.front()));
    } else if (c == '\n' || c == '\t') {
      out += keep_layout ? std::string(1, static_cast<char>(c)) : c == '\n' ? "\\n" : "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c < 0x20 || c == 0x7F) {
      fmt::format_to(put, "\\x{:02x}", c);
    } else if (is_unseen(c)) {
      c < 0x10000 ? fmt::format_to(put, "\\u{:04x}", c) : fmt::format_to(put, "\\U{:08x}", c);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace

std::string printable_json(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  const auto put = std::back_inserter(out);
  while (!json.empty()) {
    std::uint32_t c = 0;
    const std::size_t length = decode(json, c);
    if (length == 0 || (c != 0x7F && !is_unseen(c))) {
      out += json.substr(0, std::max<std::size_t>(length, 1));
    } else if (c < 0x10000) {
      fmt::format_to(put, "\\u{:04x}", c);
    } else {
      fmt::format_to(put, "\\u{:04x}\\u{:04x}", 0xD800 + ((c - 0x10000) >> 10), 0xDC00 + (c & 0x3FF));
    }
    json.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string printable(std::string_view text) { return escaped(text, false); }
std::string printable_text(std::string_view text) { return escaped(text, true); }

}  // namespace vicha
