#include "data/tools/answer_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/blank.h"
#include "base/error.h"
#include "base/file_content.h"
#include "base/file_guard.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/printable.h"

namespace vicha {
namespace {

constexpr std::size_t kMostAnswers = 1000000;
constexpr const char* kAnswerField = "answer";
constexpr const char* kListRemedy =
    "Make a list from manifests of questions: vicha data answers MANIFEST --out answer_list.json";

}  // namespace

std::vector<std::string> read_answer_list(const std::filesystem::path& file) {
  const auto json = nlohmann::json::parse(read_text_file(file), nullptr, /*allow_exceptions=*/false);
  if (!json.is_array()) throw DataError(file.string(), "is not a JSON list of answers", kListRemedy);
  if (json.empty()) throw DataError(file.string(), "is a list without answers", kListRemedy);
  if (json.size() > kMostAnswers) {
    throw DataError(file.string(), fmt::format("has {} answers, more than {}", json.size(), kMostAnswers), kListRemedy);
  }
  std::vector<std::string> answers;
  std::unordered_set<std::string> seen;
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (!json[i].is_string()) {
      throw DataError(fmt::format("{}, answer {}", file.string(), i), "is not a string",
                      "Give a JSON list of strings, [\"yes\", \"no\", …]");
    }
    const auto& text = json[i].get_ref<const std::string&>();
    if (is_blank(text)) {
      throw DataError(fmt::format("{}, answer {}", file.string(), i), "is blank", "Take it out of the list");
    }
    if (seen.insert(text).second) answers.push_back(text);
  }
  if (answers.size() < json.size()) {
    log::warning("{}: {} answers stand there more than once; the first of each counts", file.string(),
                 json.size() - answers.size());
  }
  return answers;
}

std::string answer_list_json(const std::vector<std::string>& answers) {
  return json_text(nlohmann::json(answers), 0) + "\n";
}

std::vector<CountedAnswer> count_answers(const Manifest& manifest, const std::string& field) {
  const auto& column = manifest.column<AnswersColumn>(field);
  std::vector<CountedAnswer> counted(static_cast<std::size_t>(column.answer_count()));
  for (std::int64_t record = 0; record < manifest.size(); ++record) {
    if (!column.has(record)) continue;
    for (const Answer& answer : column[record]) counted[static_cast<std::size_t>(answer.number)].count += answer.count;
  }
  for (std::size_t i = 0; i < counted.size(); ++i) counted[i].text = column.answer(static_cast<std::int64_t>(i));
  std::erase_if(counted, [](const CountedAnswer& answer) { return is_blank(answer.text); });
  std::ranges::sort(counted, [](const CountedAnswer& a, const CountedAnswer& b) {
    return a.count != b.count ? a.count > b.count : a.text < b.text;
  });
  return counted;
}

std::vector<std::string> frequent_answers(const std::vector<CountedAnswer>& counted, std::int64_t min_count) {
  std::vector<std::string> answers;
  for (const CountedAnswer& answer : counted) {
    if (answer.count >= min_count) answers.push_back(answer.text);
  }
  return answers;
}

AnswerListReport make_answer_list(const std::vector<std::filesystem::path>& manifests, std::int64_t min_count,
                                  const std::filesystem::path& out) {
  GuardedOutput guard(out);
  const Manifest manifest = Manifest::load(
      manifests, {.schema = {.caption = false, .columns = {{.field = kAnswerField, .type = ColumnType::kAnswers}}}});
  const std::vector<CountedAnswer> counted = count_answers(manifest, kAnswerField);
  const std::vector<std::string> answers = frequent_answers(counted, min_count);
  if (answers.empty()) {
    throw DataError(manifests.front().string(),
                    counted.empty() ? std::string("gives no answers")
                                    : fmt::format("gives no answer {} times; the most frequent, \"{}\", stands there "
                                                  "{} times",
                                                  min_count, printable(counted.front().text), counted.front().count),
                    "Lower --min-count, or give more manifests");
  }
  AnswerListReport report{.records = manifest.size(),
                          .distinct = static_cast<std::int64_t>(counted.size()),
                          .kept = static_cast<std::int64_t>(answers.size())};
  for (std::size_t i = 0; i < counted.size(); ++i) {
    report.given += counted[i].count;
    if (i < answers.size()) report.covered += counted[i].count;
  }
  write_file_atomic(out, answer_list_json(answers));
  guard.done();
  return report;
}

}  // namespace vicha
