#include "image/regions.h"

#include <fmt/format.h>

#include <cstdint>
#include <utility>

#include "base/error.h"

namespace vicha {
namespace {

struct Span {
  int begin, length;
};

// The `cells` parts of [0, length), each of one pixel at least.
std::vector<Span> cut(int length, int cells) {
  // floor(i * length / cells + 1/2)
  const auto edge = [&](std::int64_t i) {
    return static_cast<int>((2 * i * length + cells) / (2 * std::int64_t{cells}));
  };
  std::vector<Span> spans;
  spans.reserve(static_cast<std::size_t>(cells));
  for (int i = 0; i < cells; ++i) {
    if (length >= cells) {  // then edges are at least a pixel apart
      spans.push_back({edge(i), edge(i + 1) - edge(i)});
    } else {
      spans.push_back({static_cast<int>((2 * std::int64_t{i} + 1) * length / (2 * std::int64_t{cells})), 1});
    }
  }
  return spans;
}

}  // namespace

std::vector<RegionBox> region_grid(int width, int height, int rows, int columns) {
  if (width < 1 || height < 1 || rows < 1 || columns < 1) {
    throw UsageError(
        fmt::format("cannot cut a picture of {} x {} pixels into {} x {} regions", width, height, rows, columns));
  }
  const std::vector<Span> across = cut(width, columns), down = cut(height, rows);
  std::vector<RegionBox> boxes;
  boxes.reserve(across.size() * down.size());
  for (const Span& y : down) {
    for (const Span& x : across) boxes.push_back({x.begin, y.begin, x.length, y.length});
  }
  return boxes;
}

}  // namespace vicha
