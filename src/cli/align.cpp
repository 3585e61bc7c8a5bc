#include <CLI/CLI.hpp>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "tasks/align/align_run.h"
#include "tasks/host/recipe_files.h"

namespace vicha::cli {

void add_align(CLI::App& app, Action& chosen) {
  struct Given {
    std::string recipe, out, resume = "auto", device = "auto";
    std::vector<std::string> overrides;
    bool allow_changed_data = false;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = app.add_subcommand("align", find_task_kind("align")->about);
  command->add_option("RECIPE", given->recipe, "Recipe (TOML), such as recipes/align-base.toml")->required();
  command->add_option("--out", given->out, "Folder of the run; what features are missing is made in its features/")
      ->required();
  command->add_option("--resume", given->resume, "auto (at the run's last checkpoint), none, or a checkpoint")
      ->capture_default_str();
  command->add_flag("--allow-changed-data", given->allow_changed_data,
                    "Resume although manifests, pictures or features are others than at the checkpoint");
  add_repeated(*command, "--set", given->overrides, "Override a key of the recipe: key=value");
  add_device(*command, given->device);
  command->callback([given, &chosen] {
    chosen = [given] {
      const RunResult result = align({load_task_recipe(given->recipe, given->overrides, "align"), given->out,
                                      ResumeChoice::parse(given->resume), given->device, given->allow_changed_data});
      log::info("{} at step {} of {}; {} checkpoint {}", result.finished ? "finished" : "stopped", result.step,
                result.total_steps, result.best_checkpoint.empty() ? "last" : "best",
                (result.best_checkpoint.empty() ? result.last_checkpoint : result.best_checkpoint).string());
      return result.exit_status();
    };
  });
}

}  // namespace vicha::cli
