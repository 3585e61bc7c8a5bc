// Answers as texts and as tokens; the list that a model chooses from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/vqa/network/answer_paths.h"
#include "text/wordpiece/wordpiece.h"

namespace vicha {

/// What a checkpoint keeps of its list.
inline constexpr const char* kAnswerListFile = "answer_list.json";

/// [CLS] first, [SEP] last, nothing cleaned or cut. Throws DataError naming `where` if it has more tokens than
/// `max_positions`.
std::vector<std::int64_t> answer_token_ids(const WordPiece& tokenizer, std::string_view text,
                                           std::int64_t max_positions, std::string_view where);

/// Pieces joined to words; what stands around an apostrophe, a hyphen or a point without spaces is joined again.
std::string text_of_pieces(const std::vector<std::int64_t>& ids, const Vocabulary& vocabulary);

class AnswerList {
 public:
  /// At least one text. `where`: for messages.
  AnswerList(std::vector<std::string> texts, const WordPiece& tokenizer, std::int64_t max_positions,
             std::string_view where);
  /// Of a checkpoint folder. Throws DataError naming the file and the remedy if it is not there or damaged.
  static AnswerList of_checkpoint(const std::filesystem::path& checkpoint, const WordPiece& tokenizer,
                                  std::int64_t max_positions);

  std::int64_t size() const { return static_cast<std::int64_t>(texts_.size()); }
  const std::vector<std::string>& texts() const { return texts_; }
  const std::string& text(std::int64_t answer) const { return texts_[static_cast<std::size_t>(answer)]; }
  const AnswerPaths& paths() const { return paths_; }
  /// The first answer of these tokens, [CLS] and [SEP] included.
  std::optional<std::int64_t> find(const std::vector<std::int64_t>& ids) const;

 private:
  std::vector<std::string> texts_;
  AnswerPaths paths_;
  std::map<std::vector<std::int64_t>, std::int64_t> number_of_;
};

}  // namespace vicha
