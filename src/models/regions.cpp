#include "models/regions.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "nn/host_copy.h"

namespace vicha {
namespace {

/// How long cell `cell` of `cells` and patch `patch` of `patches` overlap along a side, in units of which the side has
/// cells * patches.
std::int64_t shared_side(std::int64_t cell, std::int64_t cells, std::int64_t patch, std::int64_t patches) {
  const std::int64_t begin = std::max(cell * patches, patch * cells);
  const std::int64_t end = std::min((cell + 1) * patches, (patch + 1) * cells);
  return end - begin;
}

/// Calls with region, patch and the area that they share, in units of which a region has vit.patches(); of each region
/// by ascending patch.
template <class Visit>
void for_each_overlap(const ModelOptions& options, const Visit& visit) {
  const RegionOptions& grid = options.regions;
  const std::int64_t rows = options.vit.rows(), columns = options.vit.columns();
  for (std::int64_t region = 0; region < grid.count(); ++region) {
    const std::int64_t down = region / grid.columns, across = region % grid.columns;
    for (std::int64_t y = down * rows / grid.rows; y * grid.rows < (down + 1) * rows; ++y) {
      for (std::int64_t x = across * columns / grid.columns; x * grid.columns < (across + 1) * columns; ++x) {
        visit(region, y * columns + x,
              shared_side(down, grid.rows, y, rows) * shared_side(across, grid.columns, x, columns));
      }
    }
  }
}

}  // namespace

at::Tensor region_weights(const ModelOptions& options) {
  at::Tensor weights = at::zeros({options.regions.count(), options.vit.patches()});
  const double whole = static_cast<double>(options.vit.patches());
  float* out = weights.data_ptr<float>();
  for_each_overlap(options, [&](std::int64_t region, std::int64_t patch, std::int64_t area) {
    out[region * options.vit.patches() + patch] = static_cast<float>(static_cast<double>(area) / whole);
  });
  return weights;
}

at::Tensor pool_regions(const at::Tensor& image_SD, std::int64_t tokens, const at::Tensor& weights_RN) {
  VICHA_ASSERT(tokens > weights_RN.size(1));
  const at::Tensor patches_BND = image_SD.view({-1, tokens, image_SD.size(1)}).narrow(1, 1, weights_RN.size(1));
  const at::Tensor weights = to_device(weights_RN, image_SD.device());
  return at::matmul(weights, patches_BND.to(at::kFloat)).to(image_SD.scalar_type());
}

at::Tensor cut_regions(const at::Tensor& pictures_B3HW, const RegionOptions& regions) {
  const std::int64_t height = pictures_B3HW.size(2), width = pictures_B3HW.size(3), side = regions.region_size;
  std::vector<at::Tensor> cut;
  for (std::int64_t region = 0; region < regions.count(); ++region) {
    const std::int64_t down = region / regions.columns, across = region % regions.columns;
    // Whole pixels, those of a border on either side of it.
    const auto end = [](std::int64_t place, std::int64_t of, std::int64_t pixels) {
      return (place * pixels + of - 1) / of;
    };
    const at::Tensor cell = pictures_B3HW.slice(2, down * height / regions.rows, end(down + 1, regions.rows, height))
                                .slice(3, across * width / regions.columns, end(across + 1, regions.columns, width));
    cut.push_back(at::_upsample_bilinear2d_aa(cell.contiguous(), {side, side}, /*align_corners=*/false));
  }
  return at::stack(cut, 1);
}

std::vector<std::vector<std::int64_t>> region_patches(const ModelOptions& options) {
  std::vector<std::vector<std::int64_t>> touching(static_cast<std::size_t>(options.regions.count()));
  for_each_overlap(options, [&](std::int64_t region, std::int64_t patch, std::int64_t) {
    touching[static_cast<std::size_t>(region)].push_back(patch);
  });
  return touching;
}

void RegionTargets::for_each_tensor(const TensorVisit& visit) {
  for (at::Tensor* tensor : {&tags, &features, &crops}) visit(*tensor);
}

void MaskedRegions::for_each_tensor(const TensorVisit& visit) { visit(hidden); }

}  // namespace vicha
