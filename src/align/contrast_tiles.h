// What is done to one tile of similarities, r images by c texts, on any device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace vicha {

struct Span {
  std::int64_t begin, end;
};

struct Tile {
  Span rows, columns;
  at::Tensor row_labels, column_labels;  ///< (r), (c) int32: equal for positives
  bool own_kernels = true;               ///< where there are any; otherwise LibTorch's operations
};

/// What the rows (or the columns) of a tile see in it, fp32.
struct TileSide {
  at::Tensor lse = {};                      ///< log sum exp; undefined if not wanted
  at::Tensor positive = {}, negative = {};  ///< the largest similarity of each kind, minus infinity where there is none
  at::Tensor positive_sum = {};             ///< of the positive similarities; of rows only
};
struct TileSides {
  TileSide rows, columns;
};
TileSides look_at_tile(const Tile& tile, const at::Tensor& similarity_RC, bool want_lse);

/// Of the whole batch: log sum exp of its rows and columns, and how much of the gradient a positive takes away.
struct InfoNceTile {
  Tile tile;
  at::Tensor row_lse_B, column_lse_B, target_B;
  double share;  ///< of one row or column in the loss
};
/// The loss's gradient with regard to the tile, (r, c) of that type, made in the place of `similarity_RC` where it can.
at::Tensor info_nce_tile(const InfoNceTile& about, const at::Tensor& similarity_RC, at::ScalarType type);

struct SigmoidTileResult {
  at::Tensor loss;          ///< 0-D fp64, the sum over the tile
  at::Tensor gradient;      ///< (r, c), times the share; in the place of the similarities where it can
  at::Tensor gradient_sum;  ///< 0-D fp64
};
SigmoidTileResult sigmoid_tile(const Tile& tile, const at::Tensor& similarity_RC, const at::Tensor& bias, double share,
                               at::ScalarType type);

}  // namespace vicha
