// Axes of charts: which range, where the ticks stand, and how numbers are written.
#pragma once

#include <string>
#include <vector>

namespace vicha {

/// "0", "12", "0.07", "3.5e-05", "12k", "1.2M": short, about three significant digits.
std::string format_number(double value);
/// With thousands apart: "1 234 567" (narrow no-break spaces).
std::string format_count(std::int64_t value);

class Axis {
 public:
  /// Covers low … high; widened where they are equal. `log`: base 10, both positive.
  /// Linear axes are rounded outwards to ticks when `round` is set.
  Axis(double low, double high, bool log, bool round);

  double low() const { return low_; }
  double high() const { return high_; }
  bool log() const { return log_; }
  /// 0 at low, 1 at high; values outside give values outside.
  double place(double value) const;
  /// About `count` round values within the range, ascending.
  std::vector<double> ticks(int count) const;

 private:
  double low_, high_;
  bool log_;
};

}  // namespace vicha
