#include <CLI/CLI.hpp>
#include <csignal>

#include "ablation/lab_run.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/options.h"

namespace vicha::cli {

void add_ablate(CLI::App& app, Action& chosen) {
  struct Given {
    LabCommand lab;
    bool dry_run = false;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command =
      app.add_subcommand("ablate", "Train and evaluate a grid of recipes and seeds; tables what each part is worth");
  command->add_option("LAB", given->lab.lab, "Lab (TOML)")->required();
  command->add_option("--out", given->lab.out, "Folder of the runs and of table.json and table.html")->required();
  add_choice(*command, "--resume", given->lab.resume, {{"auto", true}, {"none", false}},
             "auto: go on where it was, and do again what has changed; none: all runs anew");
  command->add_flag("--dry-run", given->dry_run, "List the runs, their length and how far they are");
  add_device(*command, given->lab.device);
  command->callback([given, &chosen] {
    chosen = [given] {
      if (given->dry_run) {
        const LabListing listing = list_lab(given->lab);
        print(listing.text);
        if (listing.refusals.empty()) return 0;
        log::write_lines(log::Level::kError, listing.refusals);
        return static_cast<int>(ExitCode::kData);
      }
      const LabResult result = run_lab(given->lab);
      print(result.table);
      if (result.stopped) {
        log::info("stopped before the end. Repeat the same command to go on from there");
        return 128 + SIGINT;
      }
      if (result.failed == 0) return 0;
      log::error("{} of {} runs failed; the table says why. Repeat the command to try them again", result.failed,
                 result.runs);
      return static_cast<int>(ExitCode::kFailed);
    };
  });
}

}  // namespace vicha::cli
