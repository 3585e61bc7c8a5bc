// The accuracy of VQA v2 as its official evaluation counts it (Antol et al. 2015; github.com/GT-Vision-Lab/VQA): an
// answer is worth what each annotator's colleagues say of it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

/// Punctuation as the evaluation treats it. A mark is deleted wherever it stands if it touches a space anywhere, or if
/// the text has a comma between digits; otherwise it becomes a space. Then periods go unless a digit follows. Capitals
/// and outer spaces stay.
std::string vqa_punctuation(std::string_view text);
/// Lower case (of A–Z); number words up to ten as digits, no articles, contractions with their apostrophes; one space
/// between words.
std::string vqa_words(std::string_view text);
/// All that happens to a given answer before it is compared.
std::string normalise_vqa_answer(std::string_view answer);

/// 0 … 1: the mean over annotators of min(1, equal answers of the others / 3). Annotators' answers go through
/// vqa_punctuation alone, and only if they are not all the same: so the official evaluation does. It takes four
/// annotators for 1; an answer that fewer have given is worth 1 if any of theirs equals it, all of them normalised.
/// `annotators` must not be empty.
double vqa_accuracy(std::string_view answer, std::span<const std::string> annotators);

/// 100 times, to two decimals: as the evaluation reports means.
double round_percent(double share);

class MeanAccuracy {
 public:
  void add(double accuracy) {
    sum_ += accuracy;
    ++count_;
  }
  /// 0 … 1; 0 of nothing.
  double value() const { return count_ == 0 ? 0.0 : sum_ / static_cast<double>(count_); }
  std::int64_t count() const { return count_; }

 private:
  double sum_ = 0;
  std::int64_t count_ = 0;
};

/// Accuracies of a set of questions.
class VqaScores {
 public:
  /// vqa_accuracy of one more question. A type that is "" is not counted.
  double add(std::string_view answer, std::span<const std::string> annotators, const std::string& question_type,
             const std::string& answer_type);

  double overall() const { return all_.value(); }
  std::int64_t count() const { return all_.count(); }
  const std::map<std::string, MeanAccuracy>& by_question_type() const { return by_question_type_; }
  const std::map<std::string, MeanAccuracy>& by_answer_type() const { return by_answer_type_; }

 private:
  MeanAccuracy all_;
  std::map<std::string, MeanAccuracy> by_question_type_, by_answer_type_;
};

}  // namespace vicha
