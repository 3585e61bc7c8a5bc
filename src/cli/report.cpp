#include "tasks/report.h"

#include <CLI/CLI.hpp>

#include "cli/commands.h"

namespace vicha::cli {

void add_report(CLI::App& app, Action& chosen) {
  const auto given = std::make_shared<ReportOptions>();
  CLI::App* command = app.add_subcommand("report", "One self-contained HTML page about a run");
  command->add_option("RUN", given->run, "Folder of the run")->required();
  command->add_option("--out", given->output, "Page to write (default: RUN/report.html)");
  command->add_option("--device", given->device, "auto, cpu or cuda:N")->capture_default_str();
  command->callback([given, &chosen] {
    chosen = [given] {
      print(write_report(*given).string() + "\n");
      return 0;
    };
  });
}

}  // namespace vicha::cli
