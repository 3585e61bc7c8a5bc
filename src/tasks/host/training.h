// Training of any task: data and model set up as its recipe says, then the loop.
#pragma once

#include <filesystem>
#include <string>

#include "distributed/group.h"
#include "tasks/host/known_texts.h"
#include "tasks/host/task_kind.h"
#include "train/loop.h"

namespace vicha {

struct TrainCommand {
  AnyOptions<TaskRecipe> recipe;  ///< finished
  std::filesystem::path out;
  ResumeChoice resume = {};
  std::string device = "auto";
  /// Resume although the manifests say something else than they did (tasks/host/data_record.h).
  bool allow_changed_data = false;
  /// What runs of this process have found out about the captions before (a lab's); must outlive the command.
  KnownTexts* known_texts = nullptr;
};

/// Loads data and model, trains, and lets the task evaluate at each checkpoint. In a group every rank calls it with the
/// same command and has its share of each step's samples. Throws DataError if the concepts of two manifests come from
/// different sources, and on resume if the manifests have changed and that is not allowed.
RunResult train_task(const TrainCommand& command, const Group& group = Group::alone());

}  // namespace vicha
