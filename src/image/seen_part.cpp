#include "image/seen_part.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace vicha {
namespace {

struct Point {
  double x, y;
};
using Polygon = std::vector<Point>;

Point apply(const AffineMap& map, const Point& p) {
  return {map.m[0] * p.x + map.m[1] * p.y + map.m[2], map.m[3] * p.x + map.m[4] * p.y + map.m[5]};
}

/// What of a convex polygon lies where `inside` (a signed distance) is not negative.
template <class Distance>
Polygon clip(const Polygon& polygon, const Distance& inside) {
  Polygon kept;
  for (std::size_t i = 0; i < polygon.size(); ++i) {
    const Point &a = polygon[i], &b = polygon[(i + 1) % polygon.size()];
    const double at_a = inside(a), at_b = inside(b);
    if (at_a >= 0) kept.push_back(a);
    if ((at_a >= 0) != (at_b >= 0)) {
      const double t = at_a / (at_a - at_b);
      kept.push_back({a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)});
    }
  }
  return kept;
}

double area(const Polygon& polygon) {
  double twice = 0;
  for (std::size_t i = 0; i < polygon.size(); ++i) {
    const Point &a = polygon[i], &b = polygon[(i + 1) % polygon.size()];
    twice += a.x * b.y - b.x * a.y;
  }
  return std::abs(twice) / 2;
}

/// Cells that an interval touches, within 0 … count - 1.
std::pair<std::int64_t, std::int64_t> touched(double low, double high, std::int64_t count) {
  const double end = static_cast<double>(count);
  return {static_cast<std::int64_t>(std::floor(std::clamp(low, 0.0, end))),
          static_cast<std::int64_t>(std::ceil(std::clamp(high, 0.0, end)))};
}

}  // namespace

AffineMap AffineMap::after(const AffineMap& first) const {
  const auto& [a, b, c, d, e, f] = m;
  const auto& g = first.m;
  return {{a * g[0] + b * g[3], a * g[1] + b * g[4], a * g[2] + b * g[5] + c,  //
           d * g[0] + e * g[3], d * g[1] + e * g[4], d * g[2] + e * g[5] + f}};
}

AffineMap AffineMap::inverse() const {
  const auto& [a, b, c, d, e, f] = m;
  const double det = a * e - b * d;
  VICHA_ASSERT(det != 0);
  return {{e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det}};
}

std::vector<float> grid_shares(const SeenPart& seen, const GridSize& seen_grid, const GridSize& picture_grid) {
  std::vector<float> shares(static_cast<std::size_t>(seen_grid.cells() * picture_grid.cells()), 0.0F);
  const auto rows = static_cast<double>(seen_grid.rows), columns = static_cast<double>(seen_grid.columns);
  // In units of the picture's cells.
  const AffineMap scale{
      {static_cast<double>(picture_grid.columns), 0, 0, 0, static_cast<double>(picture_grid.rows), 0}};
  const AffineMap to_cells = scale.after(seen);
  for (std::int64_t cell = 0; cell < seen_grid.cells(); ++cell) {
    const double left = static_cast<double>(cell % seen_grid.columns) / columns, right = left + 1 / columns;
    const double top = static_cast<double>(cell / seen_grid.columns) / rows, bottom = top + 1 / rows;
    Polygon shape;
    for (const Point& corner : {Point{left, top}, Point{right, top}, Point{right, bottom}, Point{left, bottom}}) {
      shape.push_back(apply(to_cells, corner));
    }
    const double whole = area(shape);
    const auto [low_x, high_x] = std::ranges::minmax(shape, {}, &Point::x);
    const auto [low_y, high_y] = std::ranges::minmax(shape, {}, &Point::y);
    const auto [first_row, last_row] = touched(low_y.y, high_y.y, picture_grid.rows);
    const auto [first_column, last_column] = touched(low_x.x, high_x.x, picture_grid.columns);
    for (std::int64_t row = first_row; row < last_row; ++row) {
      const auto y = static_cast<double>(row);
      Polygon band = clip(shape, [&](const Point& p) { return p.y - y; });
      band = clip(band, [&](const Point& p) { return y + 1 - p.y; });
      for (std::int64_t column = first_column; column < last_column; ++column) {
        const auto x = static_cast<double>(column);
        Polygon part = clip(band, [&](const Point& p) { return p.x - x; });
        part = clip(part, [&](const Point& p) { return x + 1 - p.x; });
        // Corners that fall on a border but for rounding are no area.
        const double share = area(part) / whole;
        if (share < 1e-9) continue;
        shares[static_cast<std::size_t>(cell * picture_grid.cells() + row * picture_grid.columns + column)] =
            static_cast<float>(std::min(share, 1.0));
      }
    }
  }
  return shares;
}

}  // namespace vicha
