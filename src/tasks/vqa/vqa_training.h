// Training of visual question answering.
#pragma once

#include <memory>

#include "tasks/host/task_kind.h"

namespace vicha {

/// Throws DataError if no answer of the training manifests is in the recipe's list.
std::unique_ptr<TaskTraining> begin_vqa_training(const TrainingSetup& setup);

}  // namespace vicha
