// Splitting rows over LibTorch's threads, with a private accumulator row per thread for column sums.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

namespace vicha {

/// Calls body(begin, end) for ranges of rows; about 32k elements are the least worth a thread.
template <class Body>
void parallel_rows(std::int64_t rows, std::int64_t width, const Body& body) {
  at::parallel_for(0, rows, std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, width)), body);
}

/// Column sums made by several threads: (threads, columns) zeros, added up by `total`. The split of the rows depends on
/// the number of threads only, so equal runs give equal bits.
class ThreadSums {
 public:
  explicit ThreadSums(std::int64_t columns)
      : sums_(at::zeros({at::get_num_threads(), columns}, at::dtype(at::kFloat))), columns_(columns) {}
  float* mine() { return sums_.data_ptr<float>() + at::get_thread_num() * columns_; }
  at::Tensor total() const { return sums_.size(0) == 1 ? sums_[0] : sums_.sum(0); }

 private:
  at::Tensor sums_;
  std::int64_t columns_;
};

}  // namespace vicha
