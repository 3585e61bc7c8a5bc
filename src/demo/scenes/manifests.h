// The scene set's files: manifests in the public formats, and what stands beside them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "demo/demo.h"
#include "demo/scenes/figures.h"
#include "demo/scenes/tasks.h"

namespace vicha::demo {

struct SceneFiles {
  std::vector<std::pair<std::string, std::int64_t>> records;  ///< manifest → records, in the order they are written
  std::vector<std::pair<std::string, std::string>> texts;     ///< file name → content; stats.json is the last
  std::vector<TaskFigures> figures;                           ///< as stats.json has them
};

/// Names of all files that `scene_files` makes.
std::vector<std::string> scene_file_names();

/// `splits`: train, val and test.
SceneFiles scene_files(const SceneCast& cast, const std::vector<SceneSplit>& splits, DemoKwords kwords,
                       std::uint64_t seed);

}  // namespace vicha::demo
