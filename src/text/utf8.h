// UTF-8: whether bytes are it, and in and out one code point at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vicha {

/// Of any bytes: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace vicha

// Used inside this room only.
namespace vicha::text_detail {

inline constexpr char32_t kReplacement = 0xFFFD;

/// The code point at `at`, which moves past it. Where the bytes are not UTF-8, U+FFFD for the longest prefix of a valid
/// sequence (one byte if there is none), as Python decodes with errors="replace".
char32_t next_code_point(std::string_view text, std::size_t& at);

void append_utf8(std::string& out, char32_t c);

bool is_ascii(std::string_view text);

/// What Python's str.isspace and its regular expressions' \s accept.
bool is_space(char32_t c);

/// Python's str.lower: Unicode's full mappings of no particular language (final sigma included). Bytes that are not
/// UTF-8 become U+FFFD.
std::string lower(std::string_view text);

}  // namespace vicha::text_detail
