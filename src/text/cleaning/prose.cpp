#include "text/cleaning/prose.h"

#include <algorithm>
#include <array>

#include "text/cleaning/prose_steps.h"
#include "text/table_reader.h"

namespace vicha::embedded {
std::string_view web_words_txt();
}

namespace vicha::text_detail {
namespace prose {

const std::unordered_set<std::string_view>& web_words(std::string_view name) {
  static const auto lists = [] {
    std::unordered_map<std::string_view, std::unordered_set<std::string_view>> lists;
    for (const WordList& list : word_lists(embedded::web_words_txt())) {
      lists[list.name].insert(list.entries.begin(), list.entries.end());
    }
    return lists;
  }();
  return lists.at(name);
}

std::string small(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = small(c);
  return out;
}

namespace {

// Most captions are letters, blanks and plain marks; these need no step.
bool is_prose_already(std::string_view text) {
  static constexpr auto kPlain = [] {
    std::array<bool, 256> plain{};
    for (int c = 'a'; c <= 'z'; ++c)
      plain[static_cast<std::size_t>(c)] = plain[static_cast<std::size_t>(c) - 32] = true;
    for (const char c : std::string_view(" ,!\"-()'\n")) plain[static_cast<std::size_t>(c)] = true;
    return plain;
  }();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool end = text[i] == '.' && (i + 1 == text.size() || blank(text[i + 1]));
    if (!end && !kPlain[static_cast<unsigned char>(text[i])]) return false;
    if (text[i] == '\'' && i > 0 && text[i - 1] == '\'') return false;
  }
  // Parts of addresses that stand alone look like words.
  return std::ranges::none_of(web_words("debris"), [&](std::string_view part) { return text.find(part) != text.npos; });
}

}  // namespace
}  // namespace prose

std::string caption_prose(std::string_view caption) {
  if (prose::is_prose_already(caption)) return std::string(caption);
  return prose::without_addresses(prose::without_markup(prose::decoded(caption)));
}

}  // namespace vicha::text_detail
