// HTML character references, as Python's html.unescape reads them. Used inside this room only.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace vicha::text_detail {

/// One name without '&' and ';', or all zero if there is none.
struct HtmlEntity {
  std::string_view name;
  char32_t first = 0, second = 0;  ///< the second is 0 for nearly all
  bool bare = false;               ///< counts without a semicolon too
};
/// All of html_entities.tsv, in the order of their names.
std::span<const HtmlEntity> html_entities();
const HtmlEntity* find_html_entity(std::string_view name);

/// What a byte of 0x80 to 0x9F stands for in Windows-1252; the five that stand for nothing are themselves.
char32_t windows_1252(char32_t c);

/// Python's html.unescape: numeric references with or without ';' (those of Windows-1252's control range are that code
/// page's characters, impossible ones U+FFFD, forbidden ones nothing), names with ';', and the older names as the
/// longest prefix of what follows '&'. `text` is UTF-8.
std::string unescape_html(std::string_view text);

/// The number "#…" that `text` begins with, read as above: appended to `out`; the bytes read, ';' included. 0 if there
/// is none.
std::size_t unescape_number(std::string_view text, std::string& out);

}  // namespace vicha::text_detail
