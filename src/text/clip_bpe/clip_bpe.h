// CLIP's tokenizer: text to byte-pair ids, equal to OpenAI's (`clip.simple_tokenizer`, `clip.tokenize`) id for id
// (tests/golden/library/tokenizers/clip_bpe.jsonl).
//
// A text is cleaned (`clean`), cut into runs of letters, single numbers, English contractions ('s, 't, 're, 've, 'm,
// 'll, 'd) and runs of anything else that is no white space; the bytes of each piece are joined by the file's merges,
// the earliest first. The special tokens spelled in the text are those tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {
namespace text_detail {
struct BpeTables;
}

class ClipBpe {
 public:
  /// Tokens of a text of every published CLIP.
  static constexpr std::size_t kContextLength = 77;

  /// Reads one of, known by its content:
  /// - OpenAI's `bpe_simple_vocab_16e6.txt.gz`, or unpacked: a title line, then a merge a line. Ids follow from the
  /// order;
  ///   of more than the published models' 48,894 merges the rest is ignored, of fewer the vocabulary is smaller;
  /// - Hugging Face's `tokenizer.json`, or `vocab.json` with `merges.txt` beside it;
  /// - a folder that holds any of these (Hugging Face's are looked for first).
  /// Throws DataError naming the file and the line or token that is wrong.
  static ClipBpe load(const std::filesystem::path& path);

  /// Ids are in [0, size()): 49,408 of the published models.
  std::int64_t size() const;
  std::int64_t start_id() const;  ///< <|startoftext|>
  std::int64_t end_id() const;    ///< <|endoftext|>

  /// The text as the tokenizer reads it: ftfy's `fix_text` (HTML references, mojibake such as "Ã©" for "é", control
  /// characters, Latin ligatures, full-width forms, curly quotes, NFC), html.unescape twice, white space collapsed and
  /// stripped, lower case. Bytes that are not UTF-8 become U+FFFD.
  static std::string clean(std::string_view text);

  /// The ids of `clean(text)`, without start and end.
  std::vector<std::int64_t> encode(std::string_view text) const;
  /// The same of a text that is clean already.
  std::vector<std::int64_t> encode_cleaned(std::string_view cleaned) const;

  /// What a CLIP text tower reads: start, ids, end; at most `context_length`, where a longer text is cut and ends with
  /// the end id all the same. Not padded (OpenAI pads with 0). With `truncate` false a longer text is a DataError.
  std::vector<std::int64_t> tokenize(std::string_view text, std::size_t context_length = kContextLength,
                                     bool truncate = true) const;
  /// The same of a text that is clean already.
  std::vector<std::int64_t> tokenize_cleaned(std::string_view cleaned, std::size_t context_length = kContextLength,
                                             bool truncate = true) const;

  /// Text of ids, a space after each word; bytes that are not UTF-8 become U+FFFD. Throws UsageError for an id that is
  /// none.
  std::string decode(std::span<const std::int64_t> ids) const;

 private:
  explicit ClipBpe(std::shared_ptr<const text_detail::BpeTables> tables);

  std::shared_ptr<const text_detail::BpeTables> tables_;  // never changes: shared by copies and by threads
};

}  // namespace vicha
