// Recipes in TOML, of any task, on top of the tree's; a line "#set KEY=VALUE" is an override of the command line.
#include <string>
#include <vector>

#include "config/serialize.h"
#include "fuzz.h"
#include "tasks/host/recipe_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  static const fuzz::ScratchFolder folder;
  static const bool ready = [] {
    for (const char* base : {"vicha-base.toml", "albef-base.toml", "vicha-small.toml"}) {
      create_symlink(std::filesystem::path(VICHA_SOURCE_DIR "/recipes") / base, folder / base);
    }
    return true;
  }();
  fuzz::require(ready, "recipes to build upon are there");
  const std::string_view text = fuzz::text_of({data, size});
  std::vector<std::string> overrides;
  constexpr std::string_view kSet = "#set ";
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    if (line.starts_with(kSet)) overrides.emplace_back(line.substr(kSet.size()));
    at += line.size() + 1;
  }
  const std::filesystem::path file = folder.write("recipe.toml", text);
  fuzz::accepted([&] {
    auto recipe = load_task_recipe(file, overrides);
    const std::string toml = to_toml(recipe, {.comments = true}), json = to_json(recipe);
    auto again = default_recipe(recipe->task);
    apply_toml(again, toml, file);
    fuzz::require(to_json(again) == json, "a recipe that was read can be written and read again");
    to_toml(recipe, {.only_changes = true});
    to_markdown(recipe, "fuzz");
  });
  fuzz::accepted([&] { root_string(file, "base"); });
  return 0;
}
