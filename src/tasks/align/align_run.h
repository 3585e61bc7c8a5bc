// `vicha align`: from pairs and two towers to an aligned model, through the training loop.
#pragma once

#include <filesystem>
#include <string>

#include "tasks/align/align_recipe.h"
#include "tasks/host/task_kind.h"
#include "train/loop.h"

namespace vicha {

struct AlignCommand {
  AnyOptions<TaskRecipe> recipe;  ///< of the task "align", finished
  std::filesystem::path out;
  ResumeChoice resume = {};
  std::string device = "auto";
  bool allow_changed_data = false;  ///< resume although manifests or features are others than at the checkpoint
};

/// Makes what features are missing (OUT/features), then trains. Killed at any moment and repeated it goes on and ends
/// with the same bits. Throws DataError on what is wrong with data, towers and stores, on resume also if they have
/// changed and that is not allowed; UsageError if the recipe names no data.
RunResult align(const AlignCommand& command);

/// "align": heads on the features of frozen towers. `vicha eval retrieval` evaluates them.
TaskKind align_kind();

}  // namespace vicha
