#include "nn/position.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"

namespace vicha {

at::Tensor sincos_positions(std::int64_t width, std::int64_t side) {
  VICHA_ASSERT(width % 4 == 0);
  const std::int64_t quarter = width / 4;
  const at::Tensor exponent = at::arange(quarter, at::kDouble) / static_cast<double>(quarter);
  const at::Tensor omega = at::pow(at::scalar_tensor(10000.0, at::kDouble), -exponent);
  const at::Tensor angle = at::arange(side, at::kDouble).unsqueeze(1) * omega;
  const at::Tensor line = at::cat({angle.sin(), angle.cos()}, 1);
  const at::Tensor column = line.unsqueeze(0).expand({side, side, 2 * quarter});
  const at::Tensor row = line.unsqueeze(1).expand({side, side, 2 * quarter});
  const at::Tensor grid = at::cat({column, row}, 2).reshape({side * side, width});
  return at::cat({at::zeros({1, width}, at::kDouble), grid}).unsqueeze(0).to(at::kFloat);
}

at::Tensor resize_positions(const at::Tensor& positions, std::int64_t side) {
  const std::int64_t count = positions.size(1) - 1, width = positions.size(2);
  const auto old = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(count))));
  if (old * old != count) {
    throw DataError("positions", "there are " + std::to_string(count) + " patch positions, which is not a square",
                    "Only square pictures can be interpolated");
  }
  if (old == side) return positions;
  const at::Tensor grid = positions.slice(1, 1).reshape({1, old, old, width}).permute({0, 3, 1, 2});
  const at::Tensor resized = at::upsample_bicubic2d(grid.contiguous(), {side, side}, false);
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

}  // namespace vicha
