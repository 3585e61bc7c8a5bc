// Manifests that a lab makes for its runs: parts of the pairs, and concepts found from no more than those.
#pragma once

#include <filesystem>

#include "ablation/plan.h"

namespace vicha {

/// Puts into `folder` what `data` says of the recipe's manifests, unless it lies there already, made of the same, and
/// lets the recipe read it. Smaller shares of one seed lie within larger ones. Throws what take_subset and
/// build_concepts throw, UsageError if manifests of several folders have no common image_root.
void make_lab_data(const Lab& lab, const LabData& data, const std::filesystem::path& folder, TaskRecipe& recipe);

}  // namespace vicha
