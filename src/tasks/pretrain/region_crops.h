// Regions cut out of pictures (model.regions.encode = crops).
// B pictures, R regions, r side of a region as it is read.
#pragma once

#include <ATen/core/Tensor.h>

#include "image/seen_part.h"

namespace vicha {

/// Of normalised pictures (B, 3, H, W), as the model sees them: each cell in whole pixels, resized bilinearly with
/// antialiasing -> (B, R, 3, r, r).
at::Tensor region_crops(const at::Tensor& pictures, const GridSize& grid, std::int64_t side);

}  // namespace vicha
