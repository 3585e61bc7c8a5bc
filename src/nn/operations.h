// How many floating-point operations the products of this process have taken, counted from their shapes.
#pragma once

#include <atomic>
#include <cstdint>

namespace vicha {

/// Multiplications and additions of all matrix products since the start; benchmarks read differences.
inline std::atomic<std::int64_t>& product_operations() {
  static std::atomic<std::int64_t> count{0};
  return count;
}
inline void count_product(std::int64_t m, std::int64_t n, std::int64_t k) {
  product_operations().fetch_add(2 * m * n * k, std::memory_order_relaxed);
}

}  // namespace vicha
