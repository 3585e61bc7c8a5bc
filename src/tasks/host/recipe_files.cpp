#include "tasks/host/recipe_files.h"

#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "config/serialize.h"

namespace vicha {

namespace {

const AnyOptions<TaskRecipe>* find_recipe(std::string_view task) {
  const TaskKind* kind = find_task_kind(task);
  return kind != nullptr && kind->recipe ? &*kind->recipe : nullptr;
}

std::string tasks_with_recipes() {
  std::string known;
  for (const TaskKind& kind : task_kinds()) {
    if (kind.recipe) known += (known.empty() ? "" : ", ") + kind.key;
  }
  return known;
}

/// Of the task that the file names.
AnyOptions<TaskRecipe> default_recipe_of(const std::filesystem::path& file) {
  const std::string task = root_string(file, "task").value_or("pretrain");
  if (const AnyOptions<TaskRecipe>* found = find_recipe(task)) return *found;
  throw DataError(file.string(),
                  fmt::format("is a recipe of the task '{}', which this program does not have: it has {}", task,
                              tasks_with_recipes()),
                  "Use the program that wrote it, or one with that task added (docs/adding.md)");
}

bool is_pretraining_recipe(const std::filesystem::path& file) {
  const AnyOptions<TaskRecipe>* kind = find_recipe("pretrain");
  if (kind == nullptr || root_string(file, "task")) return false;
  AnyOptions<TaskRecipe> recipe = *kind;
  try {
    load_recipe(recipe, file);
  } catch (const Error&) {
    return false;
  }
  return true;
}

/// A recipe that names no task may be one of pretraining, and then its keys are unknown to other tasks.
void load_recipe_of(std::string_view task, AnyOptions<TaskRecipe>& recipe, const std::filesystem::path& file) {
  try {
    load_recipe(recipe, file);
  } catch (const Error&) {
    if (task.empty() || task == "pretrain" || !is_pretraining_recipe(file)) throw;
    throw DataError(file.string(), fmt::format("names no task, and is a recipe of the task 'pretrain', not '{}'", task),
                    fmt::format("Run it by `vicha pretrain`, or give a recipe with task = \"{}\" at its head", task));
  }
}

}  // namespace

AnyOptions<TaskRecipe> default_recipe(std::string_view task) {
  if (const AnyOptions<TaskRecipe>* found = find_recipe(task)) return *found;
  throw UsageError(fmt::format("no task '{}' has recipes: one of {}", task, tasks_with_recipes()));
}

AnyOptions<TaskRecipe> load_task_recipe(const std::filesystem::path& file, const std::vector<std::string>& overrides,
                                        std::string_view task) {
  if (const auto told = task.empty() ? std::nullopt : root_string(file, "task"); told && *told != task) {
    throw DataError(file.string(), fmt::format("is a recipe of the task '{}', not '{}'", *told, task),
                    fmt::format("Run it by the command of its task (vicha {})",
                                *told == "pretrain" || *told == "align" ? *told : "finetune " + *told));
  }
  AnyOptions<TaskRecipe> recipe = task.empty() ? default_recipe_of(file) : default_recipe(task);
  load_recipe_of(task, recipe, file);
  apply_overrides(recipe, overrides);
  recipe->finish();
  return recipe;
}

}  // namespace vicha
