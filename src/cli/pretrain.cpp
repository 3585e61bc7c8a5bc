#include <CLI/CLI.hpp>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "tasks/host/recipe_files.h"
#include "tasks/host/training.h"

namespace vicha::cli {
namespace {

void add_training(CLI::App& parent, const TaskKind& kind, Action& chosen) {
  struct Given {
    std::string recipe, out, resume = "auto", device = "auto";
    std::vector<std::string> overrides;
    bool allow_changed_data = false;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = parent.add_subcommand(kind.key, kind.about);
  command->add_option("RECIPE", given->recipe, "Recipe (TOML)")->required();
  command->add_option("--out", given->out, "Folder of the run")->required();
  command->add_option("--resume", given->resume, "auto (at the run's last checkpoint), none, or a checkpoint")
      ->capture_default_str();
  command->add_flag("--allow-changed-data", given->allow_changed_data,
                    "Resume although the manifests say something else than at the checkpoint");
  add_repeated(*command, "--set", given->overrides, "Override a key of the recipe: key=value");
  add_device(*command, given->device);
  command->callback([given, task = kind.key, &chosen] {
    chosen = [given, task] {
      const TrainCommand run{load_task_recipe(given->recipe, given->overrides, task), given->out,
                             ResumeChoice::parse(given->resume), given->device, given->allow_changed_data};
      const RunResult result = train_task(run);
      log::info("{} at step {} of {}; last checkpoint {}", result.finished ? "finished" : "stopped", result.step,
                result.total_steps, result.last_checkpoint.string());
      return result.exit_status();
    };
  });
}

}  // namespace

void add_pretrain(CLI::App& app, Action& chosen) { add_training(app, *find_task_kind("pretrain"), chosen); }

void add_finetune(CLI::App& app, Action& chosen) {
  CLI::App* finetune = nullptr;
  for (const TaskKind& kind : task_kinds()) {
    if (!kind.begin_training || kind.key == "pretrain") continue;
    if (finetune == nullptr) {
      finetune = app.add_subcommand("finetune", "Fine-tune a model for a task as a recipe says")->require_subcommand(1);
    }
    add_training(*finetune, kind, chosen);
  }
}

}  // namespace vicha::cli
