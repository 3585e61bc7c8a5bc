// BERT's tokenizer, uncased unless told otherwise: text to word-piece ids, equal to the public ones id for id
// (tests/golden/library/tokenizers).
//
// Control characters and U+FFFD are dropped; ideographs stand alone; text is decomposed (NFD), marks (Mn) are dropped,
// the rest is lower-cased; white space and punctuation split; each word is cut greedily into the longest pieces known.
// A word that cannot be cut, or of more than 100 characters, is one [UNK]. A special token spelled in the text
// ("[SEP]", case matters) is that token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "text/wordpiece/vocabulary.h"

namespace vicha {

/// What is put around a text. ViCHA's models were trained without [SEP] on single texts.
enum class Framing { kCls, kClsSep, kNone };

/// The two public tokenizers differ on odd characters only.
enum class CharacterRules {
  kReleased,  ///< ViCHA's: every character of Unicode's "other" categories is dropped, unassigned ones too
  kFast,      ///< Hugging Face's fast one: unassigned characters are kept, U+2B820 … U+2B91F do not stand alone
};

/// Cased models keep capitals and accents as they are.
enum class Casing { kUncased, kCased };

class WordPiece {
 public:
  static constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

  explicit WordPiece(Vocabulary vocabulary, CharacterRules rules = CharacterRules::kReleased,
                     Casing casing = Casing::kUncased);

  /// Ids of any bytes (what is not UTF-8 is dropped), framing included, cut to `max_length`; the text gives way, not
  /// the framing. Thread-safe. Throws UsageError if `max_length` has no room for the framing.
  std::vector<std::int64_t> encode(std::string_view text, std::size_t max_length = kNoLimit,
                                   Framing framing = Framing::kCls) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
  CharacterRules rules_;
  Casing casing_;
};

/// Rows of ids as one rectangle.
struct TokenBatch {
  std::int64_t rows = 0, length = 0;
  std::vector<std::int64_t> ids;   ///< [rows, length], filled up with the padding id
  std::vector<std::int64_t> mask;  ///< [rows, length], 1 where a token stands, 0 on padding
};

/// Pads on the right to `length`, or to the longest row if none is given. No row may be longer than `length`.
TokenBatch pad_batch(std::span<const std::vector<std::int64_t>> rows, std::int64_t pad_id,
                     std::optional<std::int64_t> length = std::nullopt);

}  // namespace vicha
