// A list of answers as paths of tokens, where what several begin with stands once.
// A answers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vicha {

class AnswerPaths {
 public:
  /// Each answer's token ids, the same [CLS] first, [SEP] last: two tokens at least. At least one answer.
  explicit AnswerPaths(std::vector<std::vector<std::int64_t>> answers);

  std::int64_t size() const { return static_cast<std::int64_t>(answers_.size()); }
  std::int64_t start_id() const { return answers_.front().front(); }
  /// With [CLS] and [SEP].
  std::span<const std::int64_t> tokens(std::int64_t answer) const { return answers_[static_cast<std::size_t>(answer)]; }
  /// The beginnings of an answer, by their numbers: "[CLS] t1", "[CLS] t1 t2", …, without [SEP]; may be none.
  std::span<const std::int64_t> path(std::int64_t answer) const { return paths_[static_cast<std::size_t>(answer)]; }
  /// Distinct beginnings of all answers.
  std::int64_t beginnings() const { return beginnings_; }

 private:
  std::vector<std::vector<std::int64_t>> answers_, paths_;
  std::int64_t beginnings_ = 0;
};

}  // namespace vicha
