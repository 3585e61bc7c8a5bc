// The tasks that the program is built with.
#include "base/registry.h"

#include "tasks/host/task_kind.h"
#include "tasks/pretrain/pretrain.h"
#include "tasks/retrieval/retrieval.h"

namespace vicha {
namespace {

Registry<TaskKind>& registry() {
  static Registry<TaskKind> kinds([] {
    return std::vector<TaskKind>{
        pretrain_kind(),
        retrieval_kind(),
    };
  });
  return kinds;
}

}  // namespace

const std::vector<TaskKind>& task_kinds() { return registry().all(); }

void add_task_kind(TaskKind kind) { registry().add(std::move(kind)); }

const TaskKind* find_task_kind(std::string_view key) { return registry().find(key); }

}  // namespace vicha
