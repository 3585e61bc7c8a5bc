#include "text/cleaning/html_entities.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "text/table_reader.h"
#include "text/utf8.h"

namespace vicha::embedded {
std::string_view html_entities_tsv();
}

namespace vicha::text_detail {
namespace {

constexpr std::size_t kLongestBareName = 6;
constexpr std::size_t kLongestName = 32;

constexpr std::array<char32_t, 32> kWindows1252{0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                                0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,   0x017D, 0x8F,
                                                0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                                0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}
bool is_name_character(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return is_digit(c) || (lower >= 'a' && lower <= 'z');
}

std::vector<HtmlEntity> parse_table() {
  std::vector<HtmlEntity> entities;
  for (const std::vector<std::string_view>& row : table_rows(embedded::html_entities_tsv())) {
    VICHA_ASSERT(row.size() == 2 || (row.size() == 3 && row[2] == "bare"));
    const std::size_t space = row[1].find(' ');
    entities.push_back({.name = row[0],
                        .first = hexadecimal(row[1].substr(0, space)),
                        .second = space == row[1].npos ? 0 : hexadecimal(row[1].substr(space + 1)),
                        .bare = row.size() == 3});
  }
  VICHA_ASSERT(std::ranges::is_sorted(entities, {}, &HtmlEntity::name));
  return entities;
}

void append(std::string& out, const HtmlEntity& entity) {
  append_utf8(out, entity.first);
  if (entity.second != 0) append_utf8(out, entity.second);
}

// What a number stands for: a character, or nothing.
void append_number(std::string& out, std::uint32_t c) {
  if (c == 0 || (c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF) {
    append_utf8(out, kReplacement);
  } else if (c >= 0x80 && c <= 0x9F) {
    append_utf8(out, windows_1252(c));
  } else if (!((c < 0x20 && c != '\t' && c != '\n' && c != '\f' && c != '\r') || c == 0x7F ||
               (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE)) {
    append_utf8(out, c);
  }
}

}  // namespace

std::span<const HtmlEntity> html_entities() {
  static const std::vector<HtmlEntity> kEntities = parse_table();
  return kEntities;
}

const HtmlEntity* find_html_entity(std::string_view name) {
  const auto entities = html_entities();
  const auto at = std::ranges::lower_bound(entities, name, {}, &HtmlEntity::name);
  return at != entities.end() && at->name == name ? &*at : nullptr;
}

char32_t windows_1252(char32_t c) { return kWindows1252[c - 0x80]; }

std::size_t unescape_number(std::string_view text, std::string& out) {
  const bool hexadecimal = text.size() > 1 && (text[1] == 'x' || text[1] == 'X');
  const std::size_t start = hexadecimal ? 2 : 1;
  const std::uint32_t base = hexadecimal ? 16 : 10;
  std::size_t at = start;
  std::uint32_t value = 0;
  for (; at < text.size() && (hexadecimal ? hex_value(text[at]) >= 0 : is_digit(text[at])); ++at) {
    value = std::min<std::uint32_t>(value * base + static_cast<std::uint32_t>(hex_value(text[at])), 0x110000);
  }
  if (at == start) return 0;
  append_number(out, value);
  return at + (at < text.size() && text[at] == ';');
}

std::string unescape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t mark = std::min(text.find('&', at), text.size());
    out.append(text.substr(at, mark - at));
    if (mark == text.size()) break;
    at = mark + 1;
    const std::string_view rest = text.substr(at);
    if (rest.starts_with('#')) {
      const std::size_t length = unescape_number(rest, out);
      if (length == 0) out += '&';
      at += length;
      continue;
    }
    std::size_t length = 0;
    while (length < std::min(rest.size(), kLongestName) && is_name_character(rest[length])) ++length;
    const HtmlEntity* found = nullptr;
    if (length < rest.size() && rest[length] == ';') found = find_html_entity(rest.substr(0, length));
    if (found != nullptr) {
      ++length;
    } else {
      length = std::min(length, kLongestBareName);
      for (; length >= 2; --length) {
        found = find_html_entity(rest.substr(0, length));
        if (found != nullptr && found->bare) break;
        found = nullptr;
      }
    }
    if (found == nullptr) {
      out += '&';
      continue;
    }
    append(out, *found);
    at += length;
  }
  return out;
}

}  // namespace vicha::text_detail
