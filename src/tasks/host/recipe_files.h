// Recipes from files: which task they are of, and their values.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/host/task_kind.h"

namespace vicha {

/// Reads a recipe file, applies `--set` overrides, finishes it. `task`: what it must be a recipe of; "": what the file
/// says by its key `task`, pretraining where it says nothing. Throws DataError or UsageError.
AnyOptions<TaskRecipe> load_task_recipe(const std::filesystem::path& file,
                                        const std::vector<std::string>& overrides = {}, std::string_view task = "");

/// The defaults of a task's recipe; throws UsageError that lists the tasks where there is none of that name.
AnyOptions<TaskRecipe> default_recipe(std::string_view task);

}  // namespace vicha
