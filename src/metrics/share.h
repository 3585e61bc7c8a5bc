// How much of what was judged is right.
#pragma once

#include <cmath>
#include <cstdint>

namespace vicha {

inline double to_thousandth(double x) { return std::round(x * 1e3) / 1e3; }

struct Share {
  double right = 0;  ///< an answer may be right in part
  std::int64_t all = 0;
  void add(double is_right) {
    right += is_right;
    ++all;
  }
  /// To a thousandth; 0 where nothing was judged.
  double percent() const { return all > 0 ? std::round(1e5 * right / static_cast<double>(all)) / 1e3 : 0.0; }
};

}  // namespace vicha
