#include "tasks/host/task_model.h"

#include "base/error.h"
#include "objectives/itm.h"

namespace vicha {

const Linear& TaskModel::match_head() const {
  const auto* matching = objectives_.find<ItmObjective>();
  VICHA_ASSERT(matching != nullptr);
  return matching->head();
}

}  // namespace vicha
