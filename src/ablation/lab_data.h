// Manifests that a lab makes for its runs: parts of the pairs, and concepts found from no more than those.
#pragma once

#include <filesystem>

#include "ablation/plan.h"

namespace vicha {

/// Opens the source of a lab's concepts, or sees that the store of "tower:STORE" is there or can be made. Throws what
/// open_concept_source throws, DataError if the store is not there.
void require_concept_source(const LabConcepts& concepts);

/// Puts into `folder` what `data` says of the recipe's manifests, unless it lies there already, made of the same, and
/// lets the recipe read it. Smaller shares of one seed lie within larger ones. Throws what take_subset and
/// build_concepts throw, UsageError if manifests of several folders have no common image_root.
void make_lab_data(const Lab& lab, const LabData& data, const std::filesystem::path& folder, TaskRecipe& recipe);

}  // namespace vicha
