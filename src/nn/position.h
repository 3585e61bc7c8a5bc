// Positions of image patches.
#pragma once

#include <ATen/core/Tensor.h>

namespace vicha {

/// Fixed 2-D sine-cosine positions (1, 1 + side^2, width) of the MAE decoder: first half of the channels encodes the
/// column, second the row, each [sin | cos] with frequencies 10000^(-i / (width / 4)); the class position is zero.
/// `width` must be divisible by 4.
at::Tensor sincos_positions(std::int64_t width, std::int64_t side);
/// The same of a grid that need not be square: (1, 1 + rows * columns, width).
at::Tensor sincos_positions(std::int64_t width, std::int64_t rows, std::int64_t columns);

/// Learned positions (1, 1 + n^2, D) for another image size: the class position stays, the others are interpolated by
/// cubic convolution (a = -0.75, no antialias) to (1, 1 + side^2, D). Throws DataError if n^2 is no square.
at::Tensor resize_positions(const at::Tensor& positions, std::int64_t side);

struct PatchGrid {
  std::int64_t rows = 0, columns = 0;

  std::int64_t patches() const { return rows * columns; }
  bool operator==(const PatchGrid&) const = default;
};
/// The same between grids that need not be square.
at::Tensor resize_positions(const at::Tensor& positions, const PatchGrid& from, const PatchGrid& to);

/// (B, 3, R, R) -> (B * N, 3 * p * p): one row per patch in the order channel, row, column, N = floor(R / p)^2. Pixels
/// beyond the last whole patch are not read.
at::Tensor unfold_patches(const at::Tensor& image, std::int64_t patch);
/// The way back: rows of `grid` patches (B * N, 3 * p * p) -> (B, 3, rows * p, columns * p).
at::Tensor fold_patches(const at::Tensor& rows, const PatchGrid& grid, std::int64_t patch);

}  // namespace vicha
