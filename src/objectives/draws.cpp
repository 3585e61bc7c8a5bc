#include "objectives/draws.h"

#include <ATen/ATen.h>

#include <numeric>
#include <utility>

namespace vicha {

at::Tensor RandomDraws::patch_order(std::int64_t batch, std::int64_t patches) {
  at::Tensor order = at::empty({batch, patches}, at::kLong);
  for (std::int64_t i = 0; i < batch; ++i) {
    std::int64_t* row = order.data_ptr<std::int64_t>() + i * patches;
    std::iota(row, row + patches, 0);
    for (std::int64_t j = patches - 1; j > 0; --j) {
      std::swap(row[j], row[rng_.below(static_cast<std::uint64_t>(j) + 1)]);
    }
  }
  return order;
}

std::vector<std::int64_t> RandomDraws::negatives(const at::Tensor& weights_BB, NegativeSide) {
  const at::Tensor weights = weights_BB.to(at::kCPU, at::kFloat).contiguous();
  const std::int64_t rows = weights.size(0), columns = weights.size(1);
  std::vector<std::int64_t> chosen(static_cast<std::size_t>(rows), -1);
  for (std::int64_t i = 0; i < rows; ++i) {
    const float* row = weights.data_ptr<float>() + i * columns;
    const double total = std::accumulate(row, row + columns, 0.0);
    double left = rng_.uniform() * total;
    for (std::int64_t j = 0; j < columns; ++j) {
      if (row[j] <= 0.0f) continue;
      chosen[static_cast<std::size_t>(i)] = j;  // the last one with weight also catches what rounding leaves over
      left -= row[j];
      if (left < 0.0) break;
    }
  }
  return chosen;
}

}  // namespace vicha
