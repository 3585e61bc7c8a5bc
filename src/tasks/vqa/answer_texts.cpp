#include "tasks/vqa/answer_texts.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/printable.h"
#include "data/tools/answer_list.h"

namespace vicha {
namespace {

std::vector<std::vector<std::int64_t>> token_lists(const std::vector<std::string>& texts, const WordPiece& tokenizer,
                                                   std::int64_t max_positions, std::string_view where) {
  std::vector<std::vector<std::int64_t>> lists;
  for (const std::string& text : texts) lists.push_back(answer_token_ids(tokenizer, text, max_positions, where));
  return lists;
}

}  // namespace

std::vector<std::int64_t> answer_token_ids(const WordPiece& tokenizer, std::string_view text,
                                           std::int64_t max_positions, std::string_view where) {
  std::vector<std::int64_t> ids = tokenizer.encode(text, WordPiece::kNoLimit, Framing::kClsSep);
  if (static_cast<std::int64_t>(ids.size()) > max_positions) {
    throw DataError(where,
                    fmt::format("the answer \"{}\" has {} tokens, [CLS] and [SEP] included, and the model has "
                                "positions for {}",
                                printable(text.substr(0, 60)), ids.size(), max_positions),
                    "Answers are not cut: shorten it, or leave it out");
  }
  return ids;
}

std::string text_of_pieces(const std::vector<std::int64_t>& ids, const Vocabulary& vocabulary) {
  constexpr std::string_view kJoining = "'-.,:/";
  std::string text;
  bool joins = true;
  for (const std::int64_t id : ids) {
    std::string_view piece = vocabulary.token(id);
    const bool continues = piece.starts_with("##") && piece.size() > 2;
    if (continues) piece.remove_prefix(2);
    const bool mark = piece.size() == 1 && kJoining.find(piece[0]) != std::string_view::npos;
    if (!joins && !continues && !mark) text += ' ';
    text += piece;
    joins = mark;
  }
  return text;
}

AnswerList::AnswerList(std::vector<std::string> texts, const WordPiece& tokenizer, std::int64_t max_positions,
                       std::string_view where)
    : texts_(std::move(texts)), paths_(token_lists(texts_, tokenizer, max_positions, where)) {
  for (std::int64_t i = 0; i < size(); ++i) {
    const auto ids = paths_.tokens(i);
    number_of_.emplace(std::vector<std::int64_t>(ids.begin(), ids.end()), i);
  }
}

AnswerList AnswerList::of_checkpoint(const std::filesystem::path& checkpoint, const WordPiece& tokenizer,
                                     std::int64_t max_positions) {
  const std::filesystem::path file = checkpoint / kAnswerListFile;
  if (!std::filesystem::exists(file)) {
    throw DataError(file.string(), "is not there, so there is nothing to choose an answer from",
                    "Restore the list that the model was trained with (vqa.answers) under that name");
  }
  return {read_answer_list(file), tokenizer, max_positions, file.string()};
}

std::optional<std::int64_t> AnswerList::find(const std::vector<std::int64_t>& ids) const {
  const auto found = number_of_.find(ids);
  return found == number_of_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace vicha
