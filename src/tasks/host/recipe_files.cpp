#include "tasks/host/recipe_files.h"

#include <fmt/format.h>

#include "base/error.h"
#include "config/serialize.h"

namespace vicha {

AnyOptions<TaskRecipe> default_recipe(std::string_view task) {
  std::string known;
  for (const TaskKind& kind : task_kinds()) {
    if (!kind.recipe) continue;
    if (kind.key == task) return *kind.recipe;
    known += (known.empty() ? "" : ", ") + kind.key;
  }
  throw UsageError(fmt::format("no task '{}' has recipes: one of {}", task, known));
}

AnyOptions<TaskRecipe> load_task_recipe(const std::filesystem::path& file, const std::vector<std::string>& overrides,
                                        std::string_view task) {
  AnyOptions<TaskRecipe> recipe =
      default_recipe(task.empty() ? root_string(file, "task").value_or("pretrain") : std::string(task));
  load_recipe(recipe, file);
  apply_overrides(recipe, overrides);
  recipe->finish();
  return recipe;
}

}  // namespace vicha
