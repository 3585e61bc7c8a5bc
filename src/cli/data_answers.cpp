#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/data.h"
#include "cli/options.h"
#include "data/tools/answer_list.h"

namespace vicha::cli {

void add_data_answers(CLI::App& group, Action& chosen) {
  struct Given {
    std::vector<std::filesystem::path> manifests;
    std::filesystem::path out;
    std::int64_t min_count = 1;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = group.add_subcommand(
      "answers",
      "The list of answers that a model of visual question answering chooses from: those in the field "
      "\"answer\" of manifests, the most frequent first");
  command->add_option("MANIFEST", given->manifests, "Manifests of questions with answers")->required();
  command->add_option("--min-count", given->min_count, "Keep answers that are given so often, all records together")
      ->capture_default_str()
      ->check(between(1, 1000000000));
  command->add_option("--out", given->out, "List to write: JSON")->required();
  command->callback([given, &chosen] {
    chosen = [given] {
      const AnswerListReport report = make_answer_list(given->manifests, given->min_count, given->out);
      print(fmt::format("{}: {} of {} distinct answers, which are {:.2f} % of the {} answers in {} records\n",
                        given->out.string(), report.kept, report.distinct,
                        100.0 * static_cast<double>(report.covered) / static_cast<double>(report.given), report.given,
                        report.records));
      return 0;
    };
  });
}

}  // namespace vicha::cli
