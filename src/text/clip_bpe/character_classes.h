// The kinds of characters that CLIP's tokenizer tells apart. Used inside this room only (see `ClipBpe`).
#pragma once

namespace vicha::text_detail {

enum class CharacterClass : unsigned char {
  kSpace,   ///< belongs to no piece
  kLetter,  ///< \p{L}
  kNumber,  ///< \p{N}
  kOther,
};

CharacterClass character_class(char32_t c);

}  // namespace vicha::text_detail
