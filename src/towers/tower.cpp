#include "towers/tower.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace vicha {

std::string TowerInput::describe() const {
  constexpr const char* kNames[] = {"nearest", "bilinear", "bicubic", "lanczos"};
  const std::string how = resize == Resize::kShorter ? fmt::format("shorter side {}", resize_height)
                                                     : fmt::format("stretched to {}x{}", resize_height, resize_width);
  return fmt::format("{} {}, centre {}x{}, mean {}, std {}", how, kNames[static_cast<std::size_t>(interpolation)],
                     height, width, fmt::join(mean, " "), fmt::join(std, " "));
}

std::string TextInput::describe() const {
  return fmt::format("{}{}, at most {} tokens", tokenizer == Tokenizer::kClipBpe ? "CLIP's byte pairs" : "word pieces",
                     tokenizer == Tokenizer::kWordPiece && !lower_case ? ", cased" : "", max_tokens);
}

void TextTower::check_ids(const std::vector<std::vector<std::int64_t>>& ids) const {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto count = static_cast<std::int64_t>(ids[i].size());
    if (count == 0 || count > input_.max_tokens) {
      throw DataError(fmt::format("text {}", i + 1),
                      fmt::format("has {} tokens, but {} reads 1 to {}", count, identity_.name, input_.max_tokens));
    }
    for (const std::int64_t id : ids[i]) {
      if (id >= 0 && id < input_.vocabulary_size) continue;
      throw DataError(
          fmt::format("text {}", i + 1),
          fmt::format("holds the token id {}, but {} knows 0 to {}", id, identity_.name, input_.vocabulary_size - 1),
          "The tokenizer belongs to another model");
    }
  }
}

}  // namespace vicha
