// A lab's grid spelt out: which rows its table has, which runs they need, and what each run depends on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ablation/lab_file.h"
#include "tasks/host/task_kind.h"

namespace vicha {

/// What of its recipe's manifests a run learns from, where the lab makes that.
struct LabData {
  std::string share;      ///< as the lab writes it; "" for all
  std::int64_t seed = 0;  ///< that draws the share; 0 for all
  std::int64_t k = 0;     ///< concepts of a picture that the lab finds; 0: none

  bool is_made() const { return !share.empty() || k > 0; }
};

struct PlannedRun {
  std::string name;  ///< of its folder: "albef-seed1"
  std::int64_t seed = 0;
  /// Finished, the manifests still the recipe's; nothing where it is refused.
  std::optional<AnyOptions<TaskRecipe>> recipe = {};
  std::string refusal = {};  ///< why
  LabData data = {};
  std::string digest = {};  ///< of recipe, budget and data: equal digests train equal models
};

struct PlannedRow {
  std::string name;                                          ///< "all-share-1of4"
  std::string title;                                         ///< "All of it, pairs 1/4"
  std::string row;                                           ///< of the lab
  std::string row_title;                                     ///< "All of it"
  std::vector<std::pair<std::string, std::string>> at = {};  ///< axis and value
  std::optional<std::size_t> baseline = {};                  ///< index of the row that it is compared with
  std::vector<std::size_t> runs = {};                        ///< indices of runs, one a seed in the lab's order
};

struct LabPlan {
  std::vector<PlannedRow> rows;
  std::vector<PlannedRun> runs;  ///< each once, though several rows may need it; all of the first seed, then the next
};

/// Reads the recipes and manifests that the lab names. A recipe that is refused makes its runs refused ones. Throws
/// DataError naming the lab's key where rows and axes do not fit each other, or a file is missing.
LabPlan plan_lab(const Lab& lab, const std::string& file);

}  // namespace vicha
