// Lists of answers that a model of visual question answering chooses from: a JSON list of strings (answer_list.json of
// the released models), and how one is made from manifests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/manifest/manifest.h"

namespace vicha {

/// Throws DataError naming the file, and the entry that is wrong: no text, or blank, or one of more than 1,000,000. Of
/// entries that stand twice the first counts.
std::vector<std::string> read_answer_list(const std::filesystem::path& file);
std::string answer_list_json(const std::vector<std::string>& answers);

struct CountedAnswer {
  std::string text;
  std::int64_t count = 0;  ///< given answers that it is
};
/// Distinct answers of a manifest's column, the most frequent first, of equal ones in the order of their bytes. Blank
/// ones are left out.
std::vector<CountedAnswer> count_answers(const Manifest& manifest, const std::string& field);
/// Those given at least `min_count` times.
std::vector<std::string> frequent_answers(const std::vector<CountedAnswer>& counted, std::int64_t min_count);

struct AnswerListReport {
  std::int64_t records = 0, given = 0;  ///< records read, answers given in them
  std::int64_t distinct = 0, kept = 0;  ///< answers
  std::int64_t covered = 0;             ///< given answers that are in the list
};
/// From the field "answer" of all records of the manifests. Throws DataError where a manifest is not right, or where no
/// answer is given `min_count` times.
AnswerListReport make_answer_list(const std::vector<std::filesystem::path>& manifests, std::int64_t min_count,
                                  const std::filesystem::path& out);

}  // namespace vicha
