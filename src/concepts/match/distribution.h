// How similarities are spread: quantiles and a histogram, for the log and for a chart.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vicha {

struct Distribution {
  static constexpr std::array<double, 9> kShares = {0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99};

  struct Bin {
    std::int64_t count = 0, kept = 0;
  };

  std::int64_t count = 0, kept = 0;  ///< finite values
  double mean = 0, lowest = 0, highest = 0;
  std::array<double, kShares.size()> quantiles{};  ///< linear between neighbours, as NumPy's
  double low = 0, width = 0;                       ///< of the first bin; of each bin
  std::vector<Bin> bins;                           ///< a value on a border belongs to the bin above it
};

/// Bins are of a round width (1, 2 or 5 times a power of ten), at most `most_bins`. NaN values are skipped. `kept`
/// is as long as `values`, or empty: all are. Memory: a copy of the values.
Distribution distribution_of(std::span<const float> values, const std::vector<bool>& kept, int most_bins = 30);

/// A table of lines for people: a bar a bin, '#' for what is kept, '.' for the rest.
std::string histogram_text(const Distribution& distribution, int bar_width = 50);

}  // namespace vicha
