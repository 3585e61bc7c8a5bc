#include "text/clip_bpe/clean.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/normalizer2.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "text/cleaning/html_entities.h"
#include "text/cleaning/mojibake.h"
#include "text/utf8.h"

namespace vicha::text_detail {
namespace {

// ftfy repeats its fixes until nothing changes. Real texts need two or three rounds; a text that is made to need
// thousands, each undoing one level of "&amp;amp;…", must not cost the square of its length.
constexpr int kMaxRounds = 64;
constexpr std::size_t kLongestReference = 24;

constexpr char32_t kEscape = 0x1B;

// Bytes that every step but lower-casing and white space leaves alone.
constexpr auto kPlain = [] {
  std::array<bool, 256> plain{};
  for (int c = 0x20; c < 0x7F; ++c) plain[static_cast<std::size_t>(c)] = c != '&';
  for (const char c : {'\t', '\n', '\f', '\r'}) plain[static_cast<std::size_t>(c)] = true;
  return plain;
}();

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return kPlain[static_cast<unsigned char>(c)]; });
}

const icu::Normalizer2& normalizer(bool compatible) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* found =
      compatible ? icu::Normalizer2::getNFKCInstance(status) : icu::Normalizer2::getNFCInstance(status);
  VICHA_ASSERT(U_SUCCESS(status));
  return *found;
}

std::string normalized(std::string_view text, bool compatible) {
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  UErrorCode status = U_ZERO_ERROR;
  normalizer(compatible)
      .normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())), sink, nullptr, status);
  VICHA_ASSERT(U_SUCCESS(status));
  return out;
}

bool is_ligature(char32_t c) {
  return c == 0x132 || c == 0x133 || c == 0x149 || (c >= 0x1C4 && c <= 0x1CC) || (c >= 0x1F1 && c <= 0x1F3) ||
         (c >= 0xFB00 && c <= 0xFB06);
}
bool has_width(char32_t c) { return c == 0x3000 || (c >= 0xFF01 && c <= 0xFFEF); }

char straight_quote(char32_t c) {
  if (c == 0x02BC || (c >= 0x2018 && c <= 0x201B)) return '\'';
  if (c >= 0x201C && c <= 0x201F) return '"';
  return 0;
}

bool is_removed_control(char32_t c) {
  return c < 0x09 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || (c >= 0x206A && c <= 0x206F) ||
         c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

bool is_upper_name(std::string_view name) {
  return std::ranges::none_of(name, [](char c) { return c >= 'a' && c <= 'z'; });
}

std::string upper(std::string_view text) {
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  UErrorCode status = U_ZERO_ERROR;
  icu::CaseMap::utf8ToUpper("", 0, icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())), sink, nullptr,
                            status);
  VICHA_ASSERT(U_SUCCESS(status));
  return out;
}

// A reference "&…;" whole, or nothing: what ftfy makes of it. Beyond HTML's names, those all in small letters count in
// capitals too and stand for the capital, unless HTML reads a part of them.
std::string read_reference(std::string_view reference) {
  const std::string_view name = reference.substr(1, reference.size() - 2);
  if (name.starts_with('#')) {
    std::string number = unescape_html(reference);
    return number.find(';') == std::string::npos ? number : std::string(reference);
  }
  if (find_html_entity(name) != nullptr) return unescape_html(reference);
  if (!is_upper_name(name) || unescape_html(reference) != reference) return std::string(reference);
  const std::string small = lower(name);
  if (find_html_entity(small) == nullptr) return std::string(reference);
  return upper(unescape_html("&" + small + ";"));
}

std::string fix_references(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '&') {
      out += text[at++];
      continue;
    }
    std::size_t end = at + 1;
    if (end < text.size() && text[end] == '#') ++end;
    const std::size_t first = end;
    while (end < text.size() && end - first < kLongestReference &&
           ((text[end] >= '0' && text[end] <= '9') || ((text[end] | 0x20) >= 'a' && (text[end] | 0x20) <= 'z'))) {
      ++end;
    }
    if (end == first || end == text.size() || text[end] != ';') {
      out += text[at++];
      continue;
    }
    out += read_reference(text.substr(at, end + 1 - at));
    at = end + 1;
  }
  return out;
}

std::string fix_characters(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    char32_t c = next_code_point(text, at);
    if (c < 0x80) {
      out += static_cast<char>(c);
      continue;
    }
    if (c <= 0x9F) c = windows_1252(c);
    const char quote = straight_quote(c);
    if (quote != 0) {
      out += quote;
    } else if (c == 0xFB05) {
      out += "\u017Ft";  // long s and t: the compatible form would be "st"
    } else if (c == 0x149) {
      out += "'n";  // by way of U+02BC, a curly quote
    } else if (is_ligature(c) || has_width(c)) {
      out += normalized(text.substr(start, at - start), true);
    } else {
      append_utf8(out, c);
    }
  }
  return out;
}

// The length of a terminal's escape sequence: ESC [ digits and semicolons, a letter. 0 if there is none.
std::size_t escape_length(std::string_view text) {
  if (text.size() < 3 || text[1] != '[') return 0;
  for (std::size_t at = 2; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c < 0x80 && (c | 0x20) >= 'a' && (c | 0x20) <= 'z') return at;
    if (c != ';' && utf8proc_category(static_cast<utf8proc_int32_t>(c)) != UTF8PROC_CATEGORY_ND) return 0;
  }
  return 0;
}

std::string without_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t c = next_code_point(text, at);
    if (c == kEscape) {
      at = std::max(at, start + escape_length(text.substr(start)));
    } else if (!is_removed_control(c)) {
      append_utf8(out, c);
    }
  }
  return out;
}

std::string fix_segment(std::string_view text, bool references) {
  std::string now(text);
  for (int round = 0; round < kMaxRounds; ++round) {
    std::string fixed = references ? fix_references(now) : now;
    fixed = normalized(without_controls(fix_characters(fix_encoding(fixed))), false);
    if (fixed == now) break;
    now = std::move(fixed);
  }
  return now;
}

std::string_view strip(std::string_view text) {
  std::size_t begin = text.size(), end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    if (is_space(next_code_point(text, at))) continue;
    begin = std::min(begin, start);
    end = at;
  }
  return begin < end ? text.substr(begin, end - begin) : std::string_view();
}

std::string collapse(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool space = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    const bool is_now = is_white_space(c);
    if (!is_now) {
      append_utf8(out, c);
    } else if (!space) {
      out += ' ';
    }
    space = is_now;
  }
  return out;
}

// The whole way for bytes that `is_plain` accepts, in one pass.
std::string clean_plain(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool space = false;
  for (const char c : text) {
    if (c <= ' ') {
      space = !out.empty();
      continue;
    }
    if (space) out += ' ';
    space = false;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  }
  return out;
}

}  // namespace

bool is_white_space(char32_t c) { return is_space(c) && !(c >= 0x1C && c <= 0x1F); }

std::string fix_text(std::string_view text) {
  std::string out;
  bool references = true;  // until a line has a '<': then it may be HTML on purpose
  while (!text.empty()) {
    const std::string_view segment = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
    text.remove_prefix(segment.size());
    references = references && segment.find('<') == std::string_view::npos;
    out += fix_segment(segment, references);
  }
  return out;
}

std::string clip_clean(std::string_view text) {
  if (is_plain(text)) return clean_plain(text);
  const std::string plain = unescape_html(unescape_html(fix_text(text)));
  const std::string collapsed = collapse(strip(plain));
  return lower(strip(collapsed));
}

}  // namespace vicha::text_detail
