// Compiled without contraction to fused multiply-adds (src/CMakeLists.txt): each product is rounded as PyTorch rounds
// it, so that parameters follow a PyTorch run to the last bits.
#include <cmath>

#include "nn/kernels.h"
#include "nn/simd.h"

namespace vicha::kernels {
namespace {

VICHA_INLINE void adamw_body(float* p, const float* grad, float* m, float* v, const AdamwFactors& factors,
                             std::int64_t n) {
  const AdamwFactors f = factors;
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = grad[i] * f.grad_scale;
    const float mi = m[i] + f.new1 * (g - m[i]);
    const float vi = v[i] * f.beta2 + f.new2 * g * g;
    m[i] = mi;
    v[i] = vi;
    p[i] = p[i] * f.keep - f.step * mi / (std::sqrt(vi) / f.bias2_sqrt + f.eps);
  }
}

}  // namespace

VICHA_MULTIVERSION void adamw_row(float* p, const float* grad, float* m, float* v, const AdamwFactors& factors,
                                  std::int64_t n) {
  return VICHA_WIDEST(adamw_body(p, grad, m, v, factors, n));
}

}  // namespace vicha::kernels
