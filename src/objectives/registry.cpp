#include "objectives/registry.h"

#include "base/registry.h"
#include "objectives/hitc.h"
#include "objectives/ira.h"
#include "objectives/irta.h"
#include "objectives/ita.h"
#include "objectives/itc.h"
#include "objectives/itm.h"
#include "objectives/mae.h"
#include "objectives/mlm.h"
#include "objectives/mrm.h"
#include "objectives/mtm.h"
#include "objectives/teach.h"
#include "objectives/words.h"

namespace vicha {
namespace {

Registry<ObjectiveKind>& registry() {
  static Registry<ObjectiveKind> kinds([] {
    return std::vector<ObjectiveKind>{
        itc_kind(), hitc_kind(), words_kind(), ita_kind(), irta_kind(), ira_kind(),
        itm_kind(), mlm_kind(),  mae_kind(),   mrm_kind(), mtm_kind(),  teach_kind(),
    };
  });
  return kinds;
}

}  // namespace

const std::vector<ObjectiveKind>& objective_kinds() { return registry().all(); }

void add_objective_kind(ObjectiveKind kind) { registry().add(std::move(kind)); }

const ObjectiveKind* find_objective_kind(std::string_view key) { return registry().find(key); }

}  // namespace vicha
