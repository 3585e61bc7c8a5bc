#include "concepts/match/distribution.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace vicha {
namespace {

/// The smallest of 1, 2, 5 x 10^n that covers low … high in so many bins.
double round_width(double low, double high, int most_bins) {
  double width = std::pow(10.0, std::floor(std::log10(std::max((high - low) / most_bins, 1e-6))));
  const auto bins = [&](double w) { return std::floor(high / w) - std::floor(low / w) + 1; };
  for (const double step : {1.0, 2.0, 5.0, 10.0, 20.0}) {
    if (bins(step * width) <= most_bins) return step * width;
  }
  return 50.0 * width;
}

}  // namespace

Distribution distribution_of(std::span<const float> values, const std::vector<bool>& kept, int most_bins) {
  VICHA_ASSERT(kept.empty() || kept.size() == values.size());
  Distribution result;
  std::vector<float> sorted;
  double sum = 0;
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    sorted.push_back(value);
    sum += value;
  }
  if (sorted.empty()) return result;
  std::sort(sorted.begin(), sorted.end());
  result.count = static_cast<std::int64_t>(sorted.size());
  result.mean = sum / static_cast<double>(sorted.size());
  result.lowest = sorted.front();
  result.highest = sorted.back();
  for (std::size_t i = 0; i < result.quantiles.size(); ++i) {
    const double place = Distribution::kShares[i] * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const double part = place - static_cast<double>(below);
    const double a = sorted[below], b = sorted[std::min(below + 1, sorted.size() - 1)];
    result.quantiles[i] = a + part * (b - a);
  }
  result.width = round_width(result.lowest, result.highest, most_bins);
  const double first = std::floor(result.lowest / result.width);
  result.low = first * result.width;
  result.bins.resize(static_cast<std::size_t>(std::floor(result.highest / result.width) - first) + 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) continue;
    const double bin = std::floor(static_cast<double>(values[i]) / result.width) - first;
    Distribution::Bin& counted = result.bins[static_cast<std::size_t>(bin)];
    const bool stays = kept.empty() || kept[i];
    ++counted.count;
    counted.kept += stays ? 1 : 0;
    result.kept += stays ? 1 : 0;
  }
  return result;
}

std::string histogram_text(const Distribution& distribution, int bar_width) {
  if (distribution.count == 0) return "no similarities\n";
  std::string text = fmt::format(
      "{} similarities, {} kept; mean {:.4f}, lowest {:.4f}, highest {:.4f}\nquantiles:", distribution.count,
      distribution.kept, distribution.mean, distribution.lowest, distribution.highest);
  for (std::size_t i = 0; i < Distribution::kShares.size(); ++i) {
    text += fmt::format("  {:.0f} % {:.4f}", 100 * Distribution::kShares[i], distribution.quantiles[i]);
  }
  text += '\n';
  std::int64_t most = 1;
  for (const Distribution::Bin& bin : distribution.bins) most = std::max(most, bin.count);
  const int digits = std::max(0, static_cast<int>(-std::floor(std::log10(distribution.width) + 1e-9)));
  for (std::size_t i = 0; i < distribution.bins.size(); ++i) {
    const auto [count, kept] = distribution.bins[i];
    const auto length = [&](std::int64_t n) {
      return static_cast<std::size_t>((n * bar_width + most - 1) / most);  // 1 shows
    };
    const std::string hashes(length(kept), '#');
    const std::string dots(length(count) - hashes.size(), '.');
    text += fmt::format("{:>8.{}f} {:>10} |{}{}\n", distribution.low + static_cast<double>(i) * distribution.width,
                        digits, count, hashes, dots);
  }
  return text;
}

}  // namespace vicha
