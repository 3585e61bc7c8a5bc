#include "data/manifest/json_members.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "data/manifest/not_numbers.h"

namespace vicha {
namespace {

constexpr std::string_view kSpaces = " \t\r\n";

/// Behind the string that begins at `at` with its quotation mark.
std::size_t end_of_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return std::min(at + 1, text.size());
}

/// Behind the value that begins at `at`.
std::size_t end_of_value(std::string_view text, std::size_t at) {
  int depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = end_of_string(text, at);
      if (depth == 0) return at;
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}' || kSpaces.find(c) != std::string_view::npos)) return at;
    if (c == '{' || c == '[') ++depth;
    ++at;
    if ((c == '}' || c == ']') && --depth == 0) return at;
  }
  return at;
}

std::string unescaped(std::string_view quoted) {
  if (quoted.find('\\') == std::string_view::npos) return std::string(quoted.substr(1, quoted.size() - 2));
  return nlohmann::json::parse(quoted).get<std::string>();
}

bool is_kept(std::string_view word) {
  if (word.find_first_of(".eE") == std::string_view::npos) {
    const char *begin = word.data(), *end = begin + word.size();
    std::int64_t with_sign = 0;
    std::uint64_t without_sign = 0;
    return std::from_chars(begin, end, with_sign).ec == std::errc() ||
           std::from_chars(begin, end, without_sign).ec == std::errc();
  }
  if (is_not_a_number(word)) return false;
  const std::string_view digits = word.substr(0, word.find_first_of("eE"));
  return digits.find_first_of("123456789") == std::string_view::npos ||
         std::strtod(std::string(word).c_str(), nullptr) != 0;
}

}  // namespace

std::vector<JsonMember> json_members(std::string_view object) {
  std::vector<JsonMember> members;
  std::size_t at = 1;
  while ((at = object.find('"', at)) != std::string_view::npos) {
    const std::size_t key_end = end_of_string(object, at);
    JsonMember member{unescaped(object.substr(at, key_end - at)), {}};
    const std::size_t colon = object.find(':', key_end);
    const std::size_t begin = colon == std::string_view::npos ? colon : object.find_first_not_of(kSpaces, colon + 1);
    if (begin == std::string_view::npos) break;
    at = end_of_value(object, begin);
    member.value = object.substr(begin, at - begin);
    members.push_back(std::move(member));
  }
  return members;
}

std::optional<std::string> repeated_key(std::string_view object) {
  std::unordered_set<std::string> seen;
  for (JsonMember& member : json_members(object)) {
    if (!seen.insert(member.key).second) return std::move(member.key);
  }
  return std::nullopt;
}

std::string without_space(std::string_view json) {
  std::string text;
  text.reserve(json.size());
  for (std::size_t i = 0; i < json.size();) {
    if (json[i] == '"') {
      const std::size_t end = end_of_string(json, i);
      text.append(json.substr(i, end - i));
      i = end;
    } else {
      if (kSpaces.find(json[i]) == std::string_view::npos) text += json[i];
      ++i;
    }
  }
  return text;
}

std::string_view number_not_kept(std::string_view json) {
  for (std::size_t i = 0; i < json.size();) {
    const char c = json[i];
    if (c == '"') {
      i = end_of_string(json, i);
    } else if (c == '-' || std::isdigit(static_cast<unsigned char>(c)) != 0) {
      const std::size_t end = std::min(json.find_first_not_of("+-.0123456789eE", i), json.size());
      // Most numbers are short, and kept.
      const std::string_view word = json.substr(i, end - i);
      const bool judged = word.size() > 18 || word.find_first_of("eE") != std::string_view::npos;
      if (judged && word != "-" && !is_kept(word)) return word;
      i = end;
    } else {
      ++i;
    }
  }
  return {};
}

}  // namespace vicha
