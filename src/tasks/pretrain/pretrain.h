// Pretraining: the objectives of a recipe on image–text pairs.
#pragma once

#include "tasks/host/task_kind.h"

namespace vicha {

/// "pretrain". Evaluated on retrieval along the way where the recipe says so (OUT/evaluations.jsonl).
TaskKind pretrain_kind();

}  // namespace vicha
