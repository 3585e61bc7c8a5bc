// An image cut into a grid of regions: region mode of the concepts (method.md section 4, "Regions and tags").
#pragma once

#include <vector>

#include "image/image.h"

namespace vicha {

inline constexpr int kRegionRows = 6, kRegionColumns = 6;  ///< the method's 36 regions

using RegionBox = Box;

/// Boxes of a rows x columns grid over a width x height image, row by row. Edges are rounded to whole pixels, so the
/// cells tile the image exactly; where there are at least as many pixels as cells along an axis, no two cells share
/// a pixel. Along a shorter axis every cell still has one pixel, the one under its centre, so neighbours repeat it.
/// Throws UsageError if a number is below 1.
std::vector<RegionBox> region_grid(int width, int height, int rows = kRegionRows, int columns = kRegionColumns);

}  // namespace vicha
