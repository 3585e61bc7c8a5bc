#include "report/report.h"

#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/options.h"

namespace vicha::cli {

void add_report(CLI::App& app, Action& chosen) {
  struct Given {
    ReportOptions report;
    std::vector<std::string> compare;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = app.add_subcommand("report", "One self-contained HTML page about a run");
  command->add_option("RUN", given->report.run, "Folder of the run")->required();
  command->add_option("--out", given->report.output, "Page to write (default: RUN/report.html)");
  add_device(*command, given->report.device);
  add_repeated(*command, "--compare", given->compare,
               "Evaluated runs to set beside it, once a group: RUN, or NAME=RUN,RUN for several seeds of one recipe");
  command->callback([given, &chosen] {
    chosen = [given] {
      ReportOptions options = given->report;
      for (const std::string& group : given->compare) options.compare.push_back(RunGroup::parse(group));
      print(write_report(options).string() + "\n");
      return 0;
    };
  });
}

}  // namespace vicha::cli
