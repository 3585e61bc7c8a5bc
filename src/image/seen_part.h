// What of a picture a model sees, after crops, flips and warps; and grids over the one laid over the other.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace vicha {

/// An affine map of the plane: x' = m[0] x + m[1] y + m[2], y' = m[3] x + m[4] y + m[5].
struct AffineMap {
  std::array<double, 6> m = {1, 0, 0, 0, 1, 0};

  /// This after `first`.
  AffineMap after(const AffineMap& first) const;
  /// Throws std::logic_error if the map has none.
  AffineMap inverse() const;
  bool operator==(const AffineMap&) const = default;
};

/// From places in what the model sees to places in the picture, both squares of side 1 with (0, 0) at the upper left.
/// What lies outside of the picture is a fill colour.
using SeenPart = AffineMap;

struct GridSize {
  std::int64_t rows = 0, columns = 0;

  std::int64_t cells() const { return rows * columns; }
};

/// The share of each cell of a grid over what is seen that lies in each cell of a grid over the picture: (seen cells,
/// picture cells), both row by row. A row sums to 1, to less where the picture ends. Exact: areas of polygons.
std::vector<float> grid_shares(const SeenPart& seen, const GridSize& seen_grid, const GridSize& picture_grid);

}  // namespace vicha
