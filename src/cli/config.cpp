#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "config/serialize.h"
#include "tasks/pretrain_recipe.h"

namespace vicha::cli {

void add_config(CLI::App& app, Action& chosen) {
  struct Given {
    std::string recipe;
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
  show->add_flag("--json", given->json, "As JSON");
  show->add_flag("--changes", given->changes, "Only what differs from the defaults");
  show->callback([given, &chosen] {
    chosen = [given] {
      PretrainRecipe recipe;
      if (!given->recipe.empty()) load_recipe(recipe, given->recipe);
      apply_overrides(recipe, given->overrides);
      recipe.finish();
      print(given->json ? to_json(recipe) + "\n"
                        : to_toml(recipe, {.only_changes = given->changes, .comments = !given->changes}));
      return 0;
    };
  });
  config->add_subcommand("docs", "Reference of all options, in Markdown (docs/config.md)")->callback([&chosen] {
    chosen = [] {
      const PretrainRecipe defaults;
      print(to_markdown(defaults, "Options of a pretraining recipe"));
      return 0;
    };
  });
}

}  // namespace vicha::cli
