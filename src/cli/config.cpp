#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "config/serialize.h"
#include "tasks/host/recipe_files.h"

namespace vicha::cli {

namespace {

AnyOptions<TaskRecipe> default_with(const std::vector<std::string>& overrides, const std::string& task) {
  AnyOptions<TaskRecipe> recipe = default_recipe(task.empty() ? "pretrain" : task);
  apply_overrides(recipe, overrides);
  recipe->finish();
  return recipe;
}

}  // namespace

void add_config(CLI::App& app, Action& chosen) {
  struct Given {
    std::string recipe, task;
    std::vector<std::string> overrides;
    bool json = false, changes = false;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* config = app.add_subcommand("config", "Recipes and their options")->require_subcommand(1);
  CLI::App* show = config->add_subcommand("show", "Every option with the value it will have");
  show->add_option("RECIPE", given->recipe, "Recipe (TOML); without one, the defaults");
  show->add_option("--set", given->overrides, "Override a key: key=value")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  show->add_option("--task", given->task, "Task whose recipe it is (default: what the recipe says, else pretrain)");
  show->add_flag("--json", given->json, "As JSON");
  show->add_flag("--changes", given->changes, "Only what differs from the defaults");
  show->callback([given, &chosen] {
    chosen = [given] {
      const AnyOptions<TaskRecipe> recipe = given->recipe.empty()
                                                ? default_with(given->overrides, given->task)
                                                : load_task_recipe(given->recipe, given->overrides, given->task);
      if (given->json) {
        print_json(to_json(recipe) + "\n");
      } else {
        print(to_toml(recipe, {.only_changes = given->changes, .comments = !given->changes}));
      }
      return 0;
    };
  });
  config->add_subcommand("docs", "Reference of all options, in Markdown (docs/config.md)")->callback([&chosen] {
    chosen = [] {
      std::string page;
      for (const TaskKind& kind : task_kinds()) {
        if (!kind.recipe) continue;
        if (!page.empty()) page += "\n";
        std::string title = kind.title;
        title[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(title[0])));
        page += to_markdown(*kind.recipe, "Options of a " + title + " recipe");
      }
      print(page);
      return 0;
    };
  });
}

}  // namespace vicha::cli
