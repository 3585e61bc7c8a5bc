#include "search/picture_hash.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace vicha {
namespace {

constexpr std::int64_t kColumns = 9, kLines = 8;

}  // namespace

std::uint64_t picture_hash(std::span<const float> planes, std::int64_t side) {
  VICHA_ASSERT(static_cast<std::int64_t>(planes.size()) == 3 * side * side);
  std::array<double, kColumns * kLines> cells{};
  for (std::int64_t line = 0; line < kLines; ++line) {
    for (std::int64_t column = 0; column < kColumns; ++column) {
      const std::int64_t top = line * side / kLines, left = column * side / kColumns;
      const std::int64_t bottom = std::max(top + 1, (line + 1) * side / kLines),
                         right = std::max(left + 1, (column + 1) * side / kColumns);
      double sum = 0;
      for (std::int64_t plane = 0; plane < 3; ++plane) {
        for (std::int64_t y = top; y < bottom; ++y) {
          const float* row = planes.data() + (plane * side + y) * side;
          for (std::int64_t x = left; x < right; ++x) sum += static_cast<double>(row[x]);
        }
      }
      cells[static_cast<std::size_t>(line * kColumns + column)] =
          sum / static_cast<double>((bottom - top) * (right - left));
    }
  }
  std::uint64_t hash = 0;
  for (std::int64_t line = 0; line < kLines; ++line) {
    for (std::int64_t column = 0; column + 1 < kColumns; ++column) {
      const auto i = static_cast<std::size_t>(line * kColumns + column);
      // A plane of one colour should not be told by the last bits of its sums.
      hash = hash << 1 | (cells[i + 1] > cells[i] + 0.02 ? 1u : 0u);
    }
  }
  return hash == 0 ? 1 : hash;
}

}  // namespace vicha
