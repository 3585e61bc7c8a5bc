// Features and tags of regions that a run makes itself at its start, by a concept source (data.regions.source).
#pragma once

#include <filesystem>
#include <string>

#include "data/pipeline/data_options.h"
#include "distributed/group.h"
#include "models/model_options.h"

namespace vicha {

/// Embeds the pictures of the manifests with their regions into OUT/regions.emb and writes each manifest anew with tags
/// of regions and of pictures, OUT/regions-0.json …; what is there already is kept. Afterwards `data` names these. Does
/// nothing without a source, or where a store is named. Throws DataError or UsageError naming the keys.
void make_region_data(DataOptions& data, const ModelOptions& model, const std::filesystem::path& out,
                      const std::string& device, const Group& group);

}  // namespace vicha
