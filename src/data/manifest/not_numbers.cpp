#include "data/manifest/not_numbers.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace vicha {
namespace {

constexpr std::string_view kOfWords = "+-.0123456789";

bool in_word(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || kOfWords.find(c) != std::string_view::npos;
}

bool is_overflow(std::string_view word) {
  const bool number = word.find_first_not_of("+-.0123456789eE") == std::string_view::npos &&
                      word.find_first_of("0123456789") != std::string_view::npos;
  if (!number || (word.size() < 300 && word.find_first_of("eE") == std::string_view::npos)) return false;
  return std::isinf(std::strtod(std::string(word).c_str(), nullptr));
}

}  // namespace

bool is_not_a_number(std::string_view word) {
  if (is_overflow(word)) return true;
  if (word.starts_with('-') || word.starts_with('+')) word.remove_prefix(1);
  constexpr std::array<std::string_view, 7> kWords = {"NaN", "nan", "NAN", "Infinity", "infinity", "Inf", "inf"};
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

std::optional<MendedJson> without_not_numbers(std::string_view text) {
  MendedJson mended;
  std::size_t copied = 0;  // of `text`
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\') ++i;
      }
      ++i;
    } else if (in_word(text[i])) {
      const std::size_t begin = i;
      while (i < text.size() && in_word(text[i])) ++i;
      const std::string_view word = text.substr(begin, i - begin);
      if (!is_not_a_number(word)) continue;
      mended.text.append(text.substr(copied, begin - copied));
      mended.places.push_back({mended.text.size(), std::string(word)});
      mended.text.append("null");
      copied = i;
    } else {
      ++i;
    }
  }
  if (mended.places.empty()) return std::nullopt;
  mended.text.append(text.substr(std::min(copied, text.size())));
  return mended;
}

nlohmann::ordered_json value_without_not_numbers(std::string_view text) {
  nlohmann::ordered_json value = nlohmann::ordered_json::parse(text, nullptr, false);
  if (!value.is_discarded()) return value;
  if (const std::optional<MendedJson> mended = without_not_numbers(text)) {
    value = nlohmann::ordered_json::parse(mended->text, nullptr, false);
  }
  return value;
}

}  // namespace vicha
