#include "search/nearest_rows.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "search/scan_kernel.h"

namespace vicha {
namespace {

constexpr std::int64_t kSlotsAtOnce = 4096;
constexpr float kSlack = 2e-6f;  ///< of a few roundings to fp32, beside what the codes are off by

using Slots = std::pair<std::int64_t, std::int64_t>;

/// Runs of slots to compare, none longer than kSlotsAtOnce.
std::vector<Slots> slots_to_scan(const Codes& codes, std::span<const float> unit, std::int64_t looked_at) {
  std::vector<Slots> runs;
  const auto add = [&](std::int64_t begin, std::int64_t end) {
    for (; begin < end; begin += kSlotsAtOnce) runs.emplace_back(begin, std::min(end, begin + kSlotsAtOnce));
  };
  const std::int64_t clusters = codes.header().clusters;
  if (clusters == 0 || looked_at <= 0 || looked_at >= clusters) {
    add(0, codes.rows());
    return runs;
  }
  std::vector<std::pair<float, std::int64_t>> nearest;
  for (std::int64_t c = 0; c < clusters; ++c) {
    const float* centroid = codes.centroids().data() + c * codes.width();
    float product = 0;
    for (std::size_t i = 0; i < unit.size(); ++i) product += centroid[i] * unit[i];
    nearest.emplace_back(-product, c);
  }
  std::partial_sort(nearest.begin(), nearest.begin() + looked_at, nearest.end());
  nearest.resize(static_cast<std::size_t>(looked_at));
  for (const auto& [product, c] : nearest) {
    const std::span<const std::uint64_t> begin = codes.cluster_begin().subspan(static_cast<std::size_t>(c), 2);
    add(static_cast<std::int64_t>(begin[0]), static_cast<std::int64_t>(begin[1]));
  }
  return runs;
}

/// A query in whole numbers.
struct QueryCode {
  std::vector<std::int16_t> numbers;  ///< stride
  float scale = 0, error = 0;         ///< length of what scale * numbers is off by
};

QueryCode code_of(std::span<const float> unit, std::int64_t stride) {
  QueryCode code{std::vector<std::int16_t>(static_cast<std::size_t>(stride), 0)};
  float largest = 0;
  for (const float v : unit) largest = std::max(largest, std::abs(v));
  code.scale = largest / static_cast<float>(kernels::most_of_query(stride));
  double error = 0;
  for (std::size_t i = 0; i < unit.size(); ++i) {
    if (code.scale > 0) code.numbers[i] = static_cast<std::int16_t>(std::lround(unit[i] / code.scale));
    const double d = static_cast<double>(unit[i]) - static_cast<double>(code.scale) * code.numbers[i];
    error += d * d;
  }
  code.error = static_cast<float>(std::sqrt(error));
  return code;
}

/// Slots that can be among the k best. The k-th best of the lower bounds rises as more is seen; whoever's upper bound
/// lies below it is out.
class Candidates {
 public:
  explicit Candidates(std::int64_t k) : k_(static_cast<std::size_t>(k)) {}

  void see(std::int64_t slot, float cosine, float error) {
    if (cosine + error < least_) return;
    const float lower = cosine - error;
    if (lowers_.size() < k_ || lower > lowers_.front()) {
      if (lowers_.size() == k_) {
        std::pop_heap(lowers_.begin(), lowers_.end(), std::greater<>());
        lowers_.pop_back();
      }
      lowers_.push_back(lower);
      std::push_heap(lowers_.begin(), lowers_.end(), std::greater<>());
      if (lowers_.size() == k_) least_ = lowers_.front();
    }
    seen_.emplace_back(slot, cosine + error);
    if (seen_.size() > 64 * k_ + 65536) drop();
  }
  void join(const Candidates& other) {
    for (const float lower : other.lowers_) lowers_.push_back(lower);
    std::sort(lowers_.begin(), lowers_.end(), std::greater<>());
    if (lowers_.size() >= k_) {
      lowers_.resize(k_);
      least_ = lowers_.back();
    }
    std::make_heap(lowers_.begin(), lowers_.end(), std::greater<>());
    seen_.insert(seen_.end(), other.seen_.begin(), other.seen_.end());
  }
  const std::vector<std::pair<std::int64_t, float>>& rest() {
    drop();
    return seen_;
  }

 private:
  void drop() {
    std::erase_if(seen_, [this](const auto& s) { return s.second < least_; });
  }

  std::size_t k_;
  float least_ = -2;
  std::vector<float> lowers_;  // a heap, the least of them first
  std::vector<std::pair<std::int64_t, float>> seen_;
};

}  // namespace

std::vector<Neighbour> nearest_rows(const Codes& codes, const StoredVectors& vectors, std::span<const float> unit,
                                    std::int64_t k, std::int64_t looked_at) {
  VICHA_ASSERT(static_cast<std::int64_t>(unit.size()) == codes.width());
  k = std::clamp<std::int64_t>(k, 1, codes.rows());
  const std::int64_t stride = codes.header().stride;
  const QueryCode query = code_of(unit, stride);
  const std::vector<Slots> runs = slots_to_scan(codes, unit, looked_at);
  Candidates all(k);
  std::mutex mutex;
  at::parallel_for(0, static_cast<std::int64_t>(runs.size()), 1, [&](std::int64_t first, std::int64_t last) {
    Candidates mine(k);
    std::vector<std::int32_t> sums(kSlotsAtOnce);
    for (std::int64_t r = first; r < last; ++r) {
      const auto [begin, end] = runs[static_cast<std::size_t>(r)];
      kernels::scan_codes(codes.codes().data() + begin * stride, query.numbers.data(), stride, end - begin,
                          sums.data());
      const auto first_slot = static_cast<std::size_t>(begin);
      for (std::int64_t slot = begin; slot < end; ++slot) {
        const auto s = static_cast<std::size_t>(slot);
        // q·u = (q' + d)·(c + r) with |d| and |r| known, and |c| at most 1 + |r|.
        const float r = codes.errors()[s],
                    cosine = query.scale * codes.scales()[s] * static_cast<float>(sums[s - first_slot]);
        mine.see(slot, cosine, r + query.error * (1 + r) + kSlack);
      }
    }
    const std::lock_guard lock(mutex);
    all.join(mine);
  });
  std::vector<Neighbour> best;
  for (const auto& [slot, upper] : all.rest()) {
    const std::int64_t row = codes.row_of()[static_cast<std::size_t>(slot)];
    if (row >= vectors.size()) throw DataError("codes.bin", "is damaged", "Repeat `vicha index`");
    best.push_back({row, vectors.cosine(row, unit)});
  }
  const auto better = [](const Neighbour& a, const Neighbour& b) {
    return a.cosine != b.cosine ? a.cosine > b.cosine : a.row < b.row;
  };
  const std::size_t kept = std::min(best.size(), static_cast<std::size_t>(k));
  std::partial_sort(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(kept), best.end(), better);
  best.resize(kept);
  return best;
}

Spread spread_of(const Codes& codes, std::span<const float> unit) {
  double mean = 0, second = 0;
  const std::size_t width = unit.size();
  for (std::size_t i = 0; i < width; ++i) {
    mean += static_cast<double>(codes.mean()[i]) * static_cast<double>(unit[i]);
    double row = 0;
    for (std::size_t j = 0; j < width; ++j) {
      row += static_cast<double>(codes.second()[i * width + j]) * static_cast<double>(unit[j]);
    }
    second += row * static_cast<double>(unit[i]);
  }
  return {mean, std::sqrt(std::max(0.0, second - mean * mean))};
}

}  // namespace vicha
