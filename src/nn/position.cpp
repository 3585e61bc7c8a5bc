#include "nn/position.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace vicha {

at::Tensor sincos_positions(std::int64_t width, std::int64_t side) { return sincos_positions(width, side, side); }

at::Tensor sincos_positions(std::int64_t width, std::int64_t rows, std::int64_t columns) {
  VICHA_ASSERT(width % 4 == 0);
  const std::int64_t quarter = width / 4;
  const at::Tensor exponent = at::arange(quarter, at::kDouble) / static_cast<double>(quarter);
  const at::Tensor omega = at::pow(at::scalar_tensor(10000.0, at::kDouble), -exponent);
  const at::Tensor angle = at::arange(std::max(rows, columns), at::kDouble).unsqueeze(1) * omega;
  const at::Tensor line = at::cat({angle.sin(), angle.cos()}, 1);
  const at::Tensor column = line.slice(0, 0, columns).unsqueeze(0).expand({rows, columns, 2 * quarter});
  const at::Tensor row = line.slice(0, 0, rows).unsqueeze(1).expand({rows, columns, 2 * quarter});
  const at::Tensor grid = at::cat({column, row}, 2).reshape({rows * columns, width});
  return at::cat({at::zeros({1, width}, at::kDouble), grid}).unsqueeze(0).to(at::kFloat);
}

at::Tensor resize_positions(const at::Tensor& positions, std::int64_t side) {
  const std::int64_t count = positions.size(1) - 1;
  const auto old = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(count))));
  if (old * old != count) {
    throw DataError("positions", "there are " + std::to_string(count) + " patch positions, which is not a square",
                    "Only square pictures can be interpolated");
  }
  return resize_positions(positions, {old, old}, {side, side});
}

at::Tensor resize_positions(const at::Tensor& positions, const PatchGrid& from, const PatchGrid& to) {
  VICHA_ASSERT(positions.size(1) == 1 + from.patches());
  if (from == to) return positions;
  const at::Tensor grid =
      positions.slice(1, 1).reshape({1, from.rows, from.columns, positions.size(2)}).permute({0, 3, 1, 2});
  const at::Tensor resized = at::upsample_bicubic2d(grid.contiguous(), {to.rows, to.columns}, false);
  return at::cat({positions.slice(1, 0, 1), resized.flatten(2).transpose(1, 2)}, 1).contiguous();
}

at::Tensor unfold_patches(const at::Tensor& image, std::int64_t patch) {
  const std::int64_t batch = image.size(0), channels = image.size(1);
  const std::int64_t rows = image.size(2) / patch, columns = image.size(3) / patch;
  return image.slice(2, 0, rows * patch)
      .slice(3, 0, columns * patch)
      .reshape({batch, channels, rows, patch, columns, patch})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({batch * rows * columns, channels * patch * patch});
}

at::Tensor fold_patches(const at::Tensor& rows, const PatchGrid& grid, std::int64_t patch) {
  const std::int64_t channels = rows.size(1) / (patch * patch);
  return rows.reshape({-1, grid.rows, grid.columns, channels, patch, patch})
      .permute({0, 3, 1, 4, 2, 5})
      .reshape({-1, channels, grid.rows * patch, grid.columns * patch});
}

}  // namespace vicha
