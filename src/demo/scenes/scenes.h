// The scene set: pictures of several real drawings and photographs at known places, and five tasks on them whose labels
// are right by rule (`vicha data demo --scenes`). From the same packages as the retrieval set (demo/demo.h).
//
// Written under `out`:
//   {retrieval,vqa,nlvr,ve,grounding}_{train,val,test}.json   manifests in the public formats
//   answer_list.json   VQA's answers
//   dets.json          picture → boxes of its objects [x, y, width, height], sorted: grounding's candidates
//   objects.json       picture → what is where: name, category, size, bbox, and whether a card hides it
//   stats.json         counts, and what is reached by chance and without looking
//   images/scenes/     192 x 192 RGB JPEG files, exactly those that the manifests name
// Validation and test show the drawings of an artist that training does not show. Left and right are never told.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "demo/demo.h"

namespace vicha {

struct SceneOptions {
  std::filesystem::path sources;  ///< the folder that tools/fetch_demo.sh filled
  std::filesystem::path out;      ///< made if missing; only files of the list above are touched
  DemoKwords kwords = DemoKwords::kNone;
  std::array<std::int64_t, 3> counts = {6000, 600, 996};  ///< records a task in train, val and test: multiples of 12
  std::uint64_t seed = 0;
  int threads = 0;  ///< 0: as many as the machine has
};

struct SceneReport {
  std::vector<std::pair<std::string, std::int64_t>> records;  ///< manifest → records, in the order they are written
  struct Figure {
    std::string task;
    double blind, chance;  ///< percent; chance is the best without looking where a task has no blind rule
  };
  std::vector<Figure> figures;
  std::int64_t concepts = 0, concepts_with_photo = 0;
  std::int64_t pictures_drawn = 0;
  std::int64_t pictures_kept = 0;  ///< finished ones that an earlier run had left
};

/// Builds the set, as build_demo does its own: may be repeated and killed at any time, and neither `threads` nor the
/// machine changes a byte of it but by the version of librsvg. Throws UsageError for counts that it cannot make,
/// DataError, naming the path and the remedy, where a source is missing or damaged.
SceneReport build_scenes(const SceneOptions& options);

}  // namespace vicha
