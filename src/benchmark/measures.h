// What the benchmarks of models report besides their times.
#pragma once

#include <vector>

namespace vicha::bench {

double peak_rss_gib();
double median(std::vector<double> values);
double rounded(double x, int digits);
/// Best rate of a large matrix product on LibTorch's threads: what the machine can do.
double product_gflops(bool bf16);

}  // namespace vicha::bench
