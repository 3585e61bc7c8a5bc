#include "metrics/vqa_accuracy.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "base/error.h"

namespace vicha {

namespace embedded {
std::string_view vqa_contractions_tsv();
}

namespace {

constexpr std::string_view kMarks = ";/[]\"{}()=+\\_-><@`,?!";
constexpr std::string_view kSpace = " \t\n\r\v\f";
constexpr std::array<std::string_view, 3> kArticles = {"a", "an", "the"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// "1,000"
bool has_comma_between_digits(std::string_view text) {
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == ',' && is_digit(text[i - 1]) && is_digit(text[i + 1])) return true;
  }
  return false;
}

bool touches_space(std::string_view text, char mark) {
  for (std::size_t at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at + 1)) {
    if ((at > 0 && text[at - 1] == ' ') || (at + 1 < text.size() && text[at + 1] == ' ')) return true;
  }
  return false;
}

using Replacements = std::unordered_map<std::string_view, std::string_view>;

Replacements read_replacements() {
  Replacements words = {{"none", "0"}, {"zero", "0"}, {"one", "1"},   {"two", "2"},   {"three", "3"}, {"four", "4"},
                        {"five", "5"}, {"six", "6"},  {"seven", "7"}, {"eight", "8"}, {"nine", "9"},  {"ten", "10"}};
  std::string_view table = embedded::vqa_contractions_tsv();
  while (!table.empty()) {
    const std::string_view line = table.substr(0, table.find('\n'));
    table.remove_prefix(std::min(line.size() + 1, table.size()));
    const std::size_t tab = line.find('\t');
    if (line.starts_with('#') || tab == std::string_view::npos) continue;
    words.emplace(line.substr(0, tab), line.substr(tab + 1));
  }
  return words;
}

const Replacements& replacements() {
  static const Replacements words = read_replacements();
  return words;
}

/// What the evaluation does to annotators' answers before it compares.
std::vector<std::string> compared(std::span<const std::string> annotators) {
  std::vector<std::string> texts(annotators.begin(), annotators.end());
  const bool official = texts.size() > 3;
  const bool all_same = std::adjacent_find(texts.begin(), texts.end(), std::not_equal_to<>()) == texts.end();
  if (official && all_same) return texts;
  for (std::string& text : texts) text = official ? vqa_punctuation(text) : normalise_vqa_answer(text);
  return texts;
}

}  // namespace

std::string vqa_punctuation(std::string_view text) {
  const bool delete_all = has_comma_between_digits(text);
  std::array<bool, 256> is_mark{}, deleted{};
  for (const char mark : kMarks) {
    const auto at = static_cast<unsigned char>(mark);
    is_mark[at] = true;
    deleted[at] = delete_all || touches_space(text, mark);
  }
  std::string kept;
  for (const char c : text) {
    const auto at = static_cast<unsigned char>(c);
    if (!is_mark[at]) {
      kept += c;
    } else if (!deleted[at]) {
      kept += ' ';
    }
  }
  std::string result;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] != '.' || (i + 1 < kept.size() && is_digit(kept[i + 1]))) result += kept[i];
  }
  return result;
}

std::string vqa_words(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  std::string result;
  for (std::size_t at = lower.find_first_not_of(kSpace); at != std::string::npos;) {
    const std::size_t end = std::min(lower.find_first_of(kSpace, at), lower.size());
    std::string_view word = std::string_view(lower).substr(at, end - at);
    at = lower.find_first_not_of(kSpace, end);
    if (const auto found = replacements().find(word); found != replacements().end()) word = found->second;
    if (std::find(kArticles.begin(), kArticles.end(), word) != kArticles.end()) continue;
    if (!result.empty()) result += ' ';
    result += word;
  }
  return result;
}

std::string normalise_vqa_answer(std::string_view answer) {
  std::string text(answer);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) return "";
  text = text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
  return vqa_words(vqa_punctuation(text));
}

double vqa_accuracy(std::string_view answer, std::span<const std::string> annotators) {
  VICHA_ASSERT(!annotators.empty());
  const std::string given = normalise_vqa_answer(answer);
  const std::vector<std::string> texts = compared(annotators);
  const std::int64_t equal = std::count(texts.begin(), texts.end(), given);
  if (texts.size() <= 3) return equal > 0 ? 1.0 : 0.0;
  double sum = 0;
  for (const std::string& text : texts) sum += std::min(1.0, static_cast<double>(equal - (text == given)) / 3.0);
  return sum / static_cast<double>(texts.size());
}

double round_percent(double share) { return std::round(1e4 * share) / 100.0; }

double VqaScores::add(std::string_view answer, std::span<const std::string> annotators,
                      const std::string& question_type, const std::string& answer_type) {
  const double accuracy = vqa_accuracy(answer, annotators);
  all_.add(accuracy);
  if (!question_type.empty()) by_question_type_[question_type].add(accuracy);
  if (!answer_type.empty()) by_answer_type_[answer_type].add(accuracy);
  return accuracy;
}

}  // namespace vicha
