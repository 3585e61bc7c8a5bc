#include "benchmark/measures.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>

#include "benchmark/clock.h"
#include "nn/kernel_choice.h"

namespace vicha::bench {

double peak_rss_gib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / (1 << 20);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double rounded(double x, int digits) {
  const double scale = std::pow(10.0, digits);
  return std::round(x * scale) / scale;
}

double product_gflops(bool bf16) {
  const c10::InferenceMode guard;
  const std::int64_t n = 1536;
  const at::Tensor a = at::randn({n, n}).to(bf16 ? at::kBFloat16 : at::kFloat),
                   b = at::randn({n, n}).to(a.scalar_type());
  double best = 1e9;
  for (int i = 0; i < 6; ++i) {
    const double start = seconds_now();
    products::nt(a, b, {});
    best = std::min(best, seconds_now() - start);
  }
  return 2.0 * static_cast<double>(n * n * n) / best * 1e-9;
}

}  // namespace vicha::bench
