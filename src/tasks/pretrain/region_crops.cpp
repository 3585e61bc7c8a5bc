#include "tasks/pretrain/region_crops.h"

#include <ATen/ATen.h>

#include "image/regions.h"

namespace vicha {

at::Tensor region_crops(const at::Tensor& pictures, const GridSize& grid, std::int64_t side) {
  std::vector<at::Tensor> crops;
  for (const RegionBox& box :
       region_grid(static_cast<int>(pictures.size(3)), static_cast<int>(pictures.size(2)),
                   static_cast<int>(grid.rows), static_cast<int>(grid.columns))) {
    const at::Tensor cell = pictures.slice(2, box.y, box.y + box.height).slice(3, box.x, box.x + box.width);
    crops.push_back(at::_upsample_bilinear2d_aa(cell, {side, side}, /*align_corners=*/false));
  }
  return at::stack(crops, 1);
}

}  // namespace vicha
