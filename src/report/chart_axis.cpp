#include "report/chart_axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace vicha {
namespace {

/// The 1, 2 or 5 times a power of ten that is nearest above `x`.
double round_step(double x) {
  const double power = std::pow(10.0, std::floor(std::log10(x)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= x * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

double step_for(double range, int count) { return round_step(range / std::max(count, 1)); }

constexpr int kTicks = 5;

}  // namespace

std::string format_number(double value) {
  const double size = std::abs(value);
  if (!std::isfinite(value)) return std::isnan(value) ? "–" : (value > 0 ? "∞" : "−∞");
  if (size >= 9.995e8) return fmt::format("{:.3g}G", value / 1e9);
  if (size >= 9.995e5) return fmt::format("{:.3g}M", value / 1e6);
  if (size >= 9.995e3) return fmt::format("{:.3g}k", value / 1e3);
  if (size >= 999.5) return fmt::format("{:.0f}", value);
  return fmt::format("{:.3g}", value);
}

std::string format_count(std::int64_t value) {
  std::string digits = std::to_string(value);
  const std::size_t first = value < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) digits.insert(at -= 3, "\u202F");
  return digits;
}

Axis::Axis(double low, double high, bool log, bool round) : low_(low), high_(high), log_(log) {
  if (!(high_ > low_)) {
    const double middle = low_, margin = middle == 0 ? 1.0 : std::abs(middle) * 0.1;
    low_ = middle - margin;
    high_ = middle + margin;
  }
  if (round && !log_) {
    const double step = step_for(high_ - low_, kTicks);
    low_ = std::floor(low_ / step + 1e-9) * step;
    high_ = std::ceil(high_ / step - 1e-9) * step;
  }
}

double Axis::place(double value) const {
  if (!log_) return (value - low_) / (high_ - low_);
  return (std::log10(value) - std::log10(low_)) / (std::log10(high_) - std::log10(low_));
}

std::vector<double> Axis::ticks(int count) const {
  std::vector<double> out;
  if (!log_) {
    const double step = step_for(high_ - low_, count);
    // Multiples of the step, so that none is off by what a sum of steps gathers; 0 is exactly 0. Never more than fit,
    // also where numbers are so large that a step changes nothing.
    const double first = std::ceil(low_ / step - 1e-9);
    for (int i = 0; i <= 2 * count + 1 && (first + i) * step <= high_ + step * 1e-9; ++i) {
      out.push_back(first + i == 0 ? 0.0 : (first + i) * step);
    }
    return out;
  }
  const int first = static_cast<int>(std::floor(std::log10(low_))), last = static_cast<int>(std::log10(high_)) + 1;
  const auto collect = [&](std::initializer_list<double> factors, int every) {
    out.clear();
    for (int exponent = first; exponent <= last; ++exponent) {
      if (exponent % every != 0) continue;
      for (const double factor : factors) {
        const double tick = factor * std::pow(10.0, exponent);
        if (tick >= low_ * (1 - 1e-9) && tick <= high_ * (1 + 1e-9)) out.push_back(tick);
      }
    }
  };
  collect({1, 2, 5}, 1);
  if (static_cast<int>(out.size()) > count + 1) collect({1}, 1);
  for (int every = 2; static_cast<int>(out.size()) > count + 1; ++every) collect({1}, every);
  if (out.size() < 2) return Axis(low_, high_, false, false).ticks(count);
  return out;
}

}  // namespace vicha
