// A model of `vicha pretrain` as an index needs it: its two towers, concepts found where it reads them, its matching.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "search/search_model.h"
#include "tasks/host/task_kind.h"

namespace vicha {

/// Opens a checkpoint's folder, or a run's (its last checkpoint). Throws DataError naming what is missing, also the
/// concepts of a model that reads them.
SearchModel open_host_towers(const std::filesystem::path& folder, const ConceptSourceOptions& options,
                             const std::string& concept_source);

}  // namespace vicha
