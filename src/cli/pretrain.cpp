#include "tasks/pretrain.h"

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "cli/commands.h"

namespace vicha::cli {

void add_pretrain(CLI::App& app, Action& chosen) {
  struct Given {
    std::string recipe, out, resume = "auto", device = "auto";
    std::vector<std::string> overrides;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = app.add_subcommand("pretrain", "Pretrain a model as a recipe says");
  command->add_option("RECIPE", given->recipe, "Recipe (TOML)")->required();
  command->add_option("--out", given->out, "Folder of the run")->required();
  command->add_option("--resume", given->resume, "auto (at the run's last checkpoint), none, or a checkpoint")
      ->capture_default_str();
  command->add_option("--set", given->overrides, "Override a key of the recipe: key=value")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  command->add_option("--device", given->device, "auto, cpu or cuda:N")->capture_default_str();
  command->callback([given, &chosen] {
    chosen = [given] {
      PretrainCommand run;
      run.recipe = load_pretrain_recipe(given->recipe, given->overrides);
      run.out = given->out;
      run.resume = ResumeChoice::parse(given->resume);
      run.device = given->device;
      const RunResult result = pretrain(run);
      log::info("{} at step {} of {}; last checkpoint {}", result.finished ? "finished" : "stopped", result.step,
                result.total_steps, result.last_checkpoint.string());
      return 0;
    };
  });
}

}  // namespace vicha::cli
