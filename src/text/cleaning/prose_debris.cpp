// Words that were never any: digests of files, and halves of characters.
#include <algorithm>
#include <utility>

#include "text/cleaning/prose_steps.h"
#include "text/utf8.h"

namespace vicha::text_detail::prose {
namespace {

constexpr std::size_t kShortestDigest = 8, kShortestHexWord = 16;

bool hex_digit(char c) { return digit(c) || (small(c) >= 'a' && small(c) <= 'f'); }

/// What the bytes 80 to FF of a character are in Latin-1 and Windows-1252.
bool is_half(char32_t c) {
  constexpr char32_t kOf1252[] = {0x152,  0x153,  0x160,  0x161,  0x178,  0x17D,  0x17E,  0x192,
                                  0x2C6,  0x2DC,  0x2013, 0x2014, 0x2020, 0x2021, 0x2022, 0x2026,
                                  0x2030, 0x2039, 0x203A, 0x20AC, 0x201A, 0x201E, 0x2122};
  return (c >= 0x80 && c <= 0xFF) || std::ranges::find(kOf1252, c) != std::end(kOf1252);
}

}  // namespace

bool is_digest(std::string_view word) {
  if (word.size() >= kShortestHexWord && std::ranges::all_of(word, hex_digit)) return true;
  if (word.size() > 3 && small(word.substr(0, 2)) == "0x" && std::ranges::all_of(word.substr(2), hex_digit))
    return true;
  const std::size_t mark = word.find_first_of(":=-");
  if (mark == word.npos || mark == 0) return false;
  if (!web_words("digest").contains(small(word.substr(0, mark)))) return false;
  const std::string_view value = word.substr(mark + 1);
  return value.size() >= kShortestDigest && std::ranges::any_of(value, digit);
}

std::string_view without_halves(std::string_view word) {
  std::size_t begin = 0;
  while (begin < word.size() && static_cast<unsigned char>(word[begin]) < 0x80) ++begin;
  if (begin == word.size() ||
      (begin > 0 && !digit(word[begin - 1]) && !(word[begin - 1] >= 'a' && word[begin - 1] <= 'z')))
    return word;
  std::size_t at = begin;
  const char32_t first = next_code_point(word, at);
  // Â begins blanks and signs, â the marks of a sentence. Ã alone is a lost letter, and costs its word.
  if (first != 0xC2 && first != 0xE2 && !(first == 0xC3 && at < word.size())) return word;
  for (std::size_t next = begin; next < word.size();) {
    if (!is_half(next_code_point(word, next))) return word;
  }
  return word.substr(0, begin);
}

}  // namespace vicha::text_detail::prose
