#include "data/tools/subset_share.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace vicha {

Share Share::parse(std::string_view text, std::string_view option) {
  constexpr std::size_t kMaxDigits = 12;  // numerator and denominator stay below 2^63
  const auto refuse = [&]() -> UsageError {
    return UsageError(
        fmt::format("{} {}: is not a share. Write 70%, 0.7 or 7/10: more than 0, at most 100%", option, text));
  };
  std::string_view number = text;
  const bool percent = number.ends_with('%');
  if (percent) number.remove_suffix(1);
  while (number.ends_with(' ')) number.remove_suffix(1);
  std::int64_t numerator = 0, denominator = percent ? 100 : 1;
  bool fraction = false, quotient = false;
  std::size_t digits = 0;
  for (const char c : number) {
    if (c == '.' && !fraction && !quotient) {
      fraction = true;
    } else if (c == '/' && !fraction && !percent && !quotient && digits > 0) {
      quotient = true;
      denominator = 0;
    } else if (quotient && c >= '0' && c <= '9' && ++digits <= kMaxDigits) {
      denominator = 10 * denominator + (c - '0');
    } else if (c >= '0' && c <= '9' && ++digits <= kMaxDigits) {
      numerator = 10 * numerator + (c - '0');
      if (fraction) denominator *= 10;
    } else {
      throw refuse();
    }
  }
  if (numerator == 0 || numerator > denominator) throw refuse();
  return {numerator, denominator};
}

std::int64_t Share::of(std::int64_t n) const {
  return static_cast<std::int64_t>(static_cast<__int128>(n) * numerator_ / denominator_);
}

std::int64_t Share::at_least_one_of(std::int64_t n) const { return n == 0 ? 0 : std::max<std::int64_t>(1, of(n)); }

std::string Share::describe() const {
  return fmt::format("{:g} %", 100.0 * static_cast<double>(numerator_) / static_cast<double>(denominator_));
}

}  // namespace vicha
