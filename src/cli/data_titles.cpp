#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "cli/data.h"
#include "cli/options.h"
#include "data/tools/titles.h"

namespace vicha::cli {

void add_data_titles(CLI::App& group, Action& chosen) {
  struct Given {
    std::filesystem::path manifest, out;
    TitleOptions options;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = group.add_subcommand(
      "titles",
      "Add a title to each caption: the objects it names, joined by \" and \"; repeated after a kill "
      "it goes on where it was");
  command->add_option("MANIFEST", given->manifest, "Manifest: a JSON list or JSON lines")->required();
  command->add_option("--out", given->out, "Manifest to write")->required();
  command->add_option("--field", given->options.field, "Field to write")->capture_default_str();
  add_links(*command, given->options.parser.links);
  command->add_option("--threads", given->options.threads, "0: one for each core")
      ->capture_default_str()
      ->check(between(0, kMostThreads));
  command->callback([given, &chosen] {
    chosen = [given] {
      TitleOptions options = given->options;
      options.progress = [](std::int64_t records) { log::status(fmt::format("titles: record {}", records)); };
      warn_if_moved(given->manifest, given->out);
      const TitleReport report = add_titles(given->manifest, given->out, options);
      log::status("");
      print(fmt::format("{}: {} records{}, titles of {} captions; {} name no object\n", given->out.string(),
                        report.records,
                        report.records_known > 0 ? fmt::format(" ({} done before)", report.records_known) : "",
                        report.captions, report.untitled));
      return 0;
    };
  });
}

}  // namespace vicha::cli
