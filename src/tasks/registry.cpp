// The tasks and the sources of concepts that the program is built with.
#include "base/registry.h"

#include "tasks/align/align_run.h"
#include "tasks/align/aligned_source.h"
#include "tasks/concepts/concept_sources.h"
#include "tasks/concepts/vicha_source.h"
#include "tasks/entailment/entailment.h"
#include "tasks/grounding/grounding.h"
#include "tasks/host/task_kind.h"
#include "tasks/nlvr2/nlvr2.h"
#include "tasks/nlvr2/text_assignment.h"
#include "tasks/pretrain/pretrain.h"
#include "tasks/pretrain/region_eval.h"
#include "tasks/retrieval/retrieval.h"
#include "tasks/vqa/vqa.h"

namespace vicha {
namespace {

Registry<TaskKind>& registry() {
  static Registry<TaskKind> kinds([] {
    return std::vector<TaskKind>{
        pretrain_kind(),        align_kind(),      retrieval_kind(), vqa_kind(),     nlvr2_kind(),
        text_assignment_kind(), entailment_kind(), grounding_kind(), regions_kind(),
    };
  });
  return kinds;
}

Registry<ConceptSourceKind>& source_registry() {
  static Registry<ConceptSourceKind> kinds([] {
    return std::vector<ConceptSourceKind>{
        clip_source_kind(), vicha_source_kind(), aligned_source_kind(), tower_source_kind(), manifest_source_kind(),
    };
  });
  return kinds;
}

}  // namespace

const std::vector<TaskKind>& task_kinds() { return registry().all(); }

void add_task_kind(TaskKind kind) { registry().add(std::move(kind)); }

const TaskKind* find_task_kind(std::string_view key) { return registry().find(key); }

const std::vector<ConceptSourceKind>& concept_source_kinds() { return source_registry().all(); }

void add_concept_source(ConceptSourceKind kind) { source_registry().add(std::move(kind)); }

}  // namespace vicha
