#include "text/cleaning/words.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/sha256.h"

namespace vicha::demo {
namespace {

/// Length in bytes of the code point at the front of `text`, which is put into `point`; 0 where it is no UTF-8.
std::size_t next_point(std::string_view text, utf8proc_int32_t& point) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const utf8proc_ssize_t length = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size()), &point);
  return length > 0 ? static_cast<std::size_t>(length) : 0;
}

template <class Visit>
void for_each_point(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    utf8proc_int32_t point = 0;
    const std::size_t length = next_point(text, point);
    VICHA_ASSERT(length > 0);
    visit(point, text.substr(0, length));
    text.remove_prefix(length);
  }
}

void append(std::string& text, utf8proc_int32_t point) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto length = utf8proc_encode_char(point, bytes.data());
  text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(length));
}

bool is_space(utf8proc_int32_t point) {
  if ((point >= 0x09 && point <= 0x0d) || (point >= 0x1c && point <= 0x1f) || point == 0x85) return true;
  const auto category = utf8proc_category(point);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

bool is_word(utf8proc_int32_t point) {
  switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return true;
    default:
      return point == '_';
  }
}

std::string decomposed(const std::string& text) {
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> bytes(
      utf8proc_NFD(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str())), &std::free);
  VICHA_ASSERT(bytes != nullptr);
  return reinterpret_cast<const char*>(bytes.get());
}

/// The words after which a label names an act or trade, whoever does it.
constexpr std::array<std::string_view, 9> kDoers = {"man",    "woman", "person", "men",  "women",
                                                    "people", "boy",   "girl",   "child"};

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    utf8proc_int32_t point = 0;
    const std::size_t length = next_point(text, point);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string lower(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for_each_point(text, [&](utf8proc_int32_t point, std::string_view) { append(result, utf8proc_tolower(point)); });
  return result;
}

std::string clean(std::string_view text) {
  std::string result;
  bool blank = false;
  for_each_point(text, [&](utf8proc_int32_t point, std::string_view bytes) {
    if (is_space(point)) {
      blank = true;
      return;
    }
    if (blank && !result.empty()) result += ' ';
    blank = false;
    if (point == 0x201c || point == 0x201d) {
      result += '"';
    } else if (point == 0x2019) {
      result += '\'';
    } else {
      result += bytes;
    }
  });
  return result;
}

std::string word_characters(std::string_view text) {
  std::string result;
  for_each_point(text, [&](utf8proc_int32_t point, std::string_view bytes) {
    if (is_word(point)) result += bytes;
  });
  return result;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> result;
  bool inside = false;
  for (const char c : lower(text)) {
    const bool letter = c >= 'a' && c <= 'z';
    if (letter && !inside) result.emplace_back();
    if (letter) result.back() += c;
    inside = letter;
  }
  return result;
}

std::string slug(std::string_view label) {
  std::string result;
  bool hyphen = false;
  for_each_point(decomposed(lower(label)), [&](utf8proc_int32_t point, std::string_view bytes) {
    if (point == '\'' || point == 0x2019 || utf8proc_category(point) == UTF8PROC_CATEGORY_MN) return;
    if ((point >= 'a' && point <= 'z') || (point >= '0' && point <= '9')) {
      if (hyphen && !result.empty()) result += '-';
      hyphen = false;
      result += bytes;
    } else {
      hyphen = true;
    }
  });
  return result;
}

std::string stem(std::string_view label) {
  for (const std::string_view doer : kDoers) {
    if (!label.starts_with(doer)) continue;
    std::string_view rest = label.substr(doer.size());
    utf8proc_int32_t point = 0;
    if (!rest.empty() && next_point(rest, point) > 0 && is_word(point)) continue;  // "mango"
    if (rest.starts_with(':')) rest.remove_prefix(1);
    const std::string act = clean(rest);
    return act.empty() ? std::string(label) : act;
  }
  return std::string(label);
}

double draw(std::string_view key) {
  constexpr int kDigits = 12;
  constexpr double kSixteenToTheDigits = 281474976710656.0;
  // The leading number is the seed of the set's reference build: another one would be another set.
  const std::string digest = sha256_hex("0|" + std::string(key)).substr(0, kDigits);
  return static_cast<double>(std::stoull(digest, nullptr, 16)) / kSixteenToTheDigits;
}

}  // namespace vicha::demo
