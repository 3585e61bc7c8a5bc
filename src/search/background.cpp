#include "search/background.h"

#include <string_view>

#include "base/random.h"

namespace vicha {

namespace embedded {
std::string_view background_txt();
}

std::vector<std::string> background_texts() {
  std::vector<std::string> texts;
  std::string_view rest = embedded::background_txt();
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end != 0) texts.emplace_back(rest.substr(0, end));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return texts;
}

std::vector<std::string> nonsense_texts(std::int64_t count) {
  Rng rng(20861);
  std::vector<std::string> texts;
  for (std::int64_t i = 0; i < count; ++i) {
    std::string text;
    for (std::uint64_t words = 1 + rng.below(4); words > 0; --words) {
      if (!text.empty()) text += ' ';
      for (std::uint64_t letters = 4 + rng.below(6); letters > 0; --letters) {
        text += static_cast<char>('a' + rng.below(26));
      }
    }
    texts.push_back(text);
  }
  return texts;
}

}  // namespace vicha
