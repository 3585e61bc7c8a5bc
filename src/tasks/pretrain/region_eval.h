// What a model has learnt of regions: `vicha eval regions RUN MANIFEST` (docs/regions.md).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "image/seen_part.h"
#include "tasks/host/task_kind.h"

namespace vicha {

/// A box in shares of the picture's sides.
struct RegionBoxShare {
  double x = 0, y = 0, width = 0, height = 0;
};
/// Whether a region of the grid is where the box is: its middle lies in the box, or the box's middle in it.
bool points_at(std::int64_t region, const GridSize& grid, const RegionBoxShare& box);

/// Where `words` stand in `text`, one after the other, behind its first token: the places of their first; -1 if
/// nowhere.
std::int64_t find_words(std::span<const std::int64_t> text, std::span<const std::int64_t> words);

/// "regions": how often the tag of a hidden region is told (mtm), how often captions and pictures find each other by
/// regions and words (irta), and, given boxes with names, how often the best region of an object's word is the
/// object's. Of models that were pretrained with one of these objectives; a figure whose objective is missing is left
/// out.
TaskKind regions_kind();

}  // namespace vicha
