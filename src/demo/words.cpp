#include "demo/words.h"

#include <utf8proc.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/sha256.h"
#include "text/cleaning/label.h"

namespace vicha::demo {
namespace {

using cleaning::for_each_point;

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

struct Irregular {
  std::string_view one, many;
};
constexpr Irregular kIrregular[] = {
    {"mouse", "mice"},        {"sheep", "sheep"},     {"deer", "deer"},       {"wolf", "wolves"},
    {"goose", "geese"},       {"ox", "oxen"},         {"knife", "knives"},    {"leaf", "leaves"},
    {"bison", "bison"},       {"squid", "squid"},     {"moose", "moose"},     {"woodlouse", "woodlice"},
    {"octopus", "octopuses"}, {"tomato", "tomatoes"}, {"potato", "potatoes"}, {"mango", "mangoes"}};

bool is_vowel(char c) { return std::string_view("aeiou").find(c) != std::string_view::npos; }

/// The words after which a label names an act or trade, whoever does it.
constexpr std::array<std::string_view, 9> kDoers = {"man",    "woman", "person", "men",  "women",
                                                    "people", "boy",   "girl",   "child"};

}  // namespace

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
  for (const char c : cleaning::lower(text)) {
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
  for_each_point(decomposed(cleaning::lower(label)), [&](utf8proc_int32_t point, std::string_view bytes) {
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
    if (!rest.empty() && cleaning::next_point(rest, point) > 0 && is_word(point)) continue;  // "mango"
    if (rest.starts_with(':')) rest.remove_prefix(1);
    const std::string act = cleaning::clean(rest);
    return act.empty() ? std::string(label) : act;
  }
  return std::string(label);
}

std::string plural(std::string_view name) {
  const std::size_t blank = name.rfind(' ');
  const std::size_t start = blank == std::string_view::npos ? 0 : blank + 1;
  const std::string_view word = name.substr(start);
  for (const auto& [one, many] : kIrregular) {
    if (word == one) return std::string(name.substr(0, start)).append(many);
  }
  if (word.ends_with("fish")) return std::string(name);
  const bool hissing = word.ends_with('s') || word.ends_with('x') || word.ends_with("ch") || word.ends_with("sh");
  if (hissing) return std::string(name) + "es";
  if (word.size() > 1 && word.back() == 'y' && !is_vowel(word[word.size() - 2])) {
    return std::string(name.substr(0, name.size() - 1)) + "ies";
  }
  return std::string(name) + "s";
}

std::string with_article(std::string_view name) {
  const bool spoken_as_you = name.starts_with("uni") || name.starts_with("uku");
  return (!name.empty() && is_vowel(name.front()) && !spoken_as_you ? "an " : "a ") + std::string(name);
}

double draw(std::string_view key) {
  constexpr int kDigits = 12;
  constexpr double kSixteenToTheDigits = 281474976710656.0;
  // The leading number is the seed of the set's reference build: another one would be another set.
  const std::string digest = sha256_hex("0|" + std::string(key)).substr(0, kDigits);
  return static_cast<double>(std::stoull(digest, nullptr, 16)) / kSixteenToTheDigits;
}

}  // namespace vicha::demo
