// A part of a whole, as people write it: "70%", "0.7", "12.5 %", "1/8".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vicha {

class Share {
 public:
  /// More than nothing, at most all. Throws UsageError naming `option` and the text.
  static Share parse(std::string_view text, std::string_view option);

  /// The whole part of share x n, exact: 29 % of 100 are 29, though 0.29 * 100 is less in floating point.
  std::int64_t of(std::int64_t n) const;
  /// The same, but at least 1 where n is.
  std::int64_t at_least_one_of(std::int64_t n) const;
  double value() const { return static_cast<double>(numerator_) / static_cast<double>(denominator_); }
  /// "12.5 %".
  std::string describe() const;

 private:
  Share(std::int64_t numerator, std::int64_t denominator) : numerator_(numerator), denominator_(denominator) {}
  std::int64_t numerator_, denominator_;
};

}  // namespace vicha
