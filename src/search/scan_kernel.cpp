#include "search/scan_kernel.h"

#include "nn/simd.h"

namespace vicha::kernels {
namespace {

VICHA_INLINE void scan_body(const std::int8_t* codes, const float* query, std::int64_t stride, std::int64_t rows,
                            float* out) {
  std::int64_t i = 0;
  // Four rows at a time: one sum would wait for itself at every step.
  for (; i + 4 <= rows; i += 4) {
    const std::int8_t* c = codes + i * stride;
    float a = 0.0f, b = 0.0f, d = 0.0f, e = 0.0f;
#pragma omp simd reduction(+ : a, b, d, e)
    for (std::int64_t j = 0; j < stride; ++j) {
      a += static_cast<float>(c[j]) * query[j];
      b += static_cast<float>(c[stride + j]) * query[j];
      d += static_cast<float>(c[2 * stride + j]) * query[j];
      e += static_cast<float>(c[3 * stride + j]) * query[j];
    }
    out[i] = a;
    out[i + 1] = b;
    out[i + 2] = d;
    out[i + 3] = e;
  }
  for (; i < rows; ++i) {
    float a = 0.0f;
#pragma omp simd reduction(+ : a)
    for (std::int64_t j = 0; j < stride; ++j) a += static_cast<float>(codes[i * stride + j]) * query[j];
    out[i] = a;
  }
}

}  // namespace

VICHA_MULTIVERSION void scan_codes(const std::int8_t* codes, const float* query, std::int64_t stride, std::int64_t rows,
                                   float* out) {
  VICHA_WIDEST(scan_body(codes, query, stride, rows, out));
}

}  // namespace vicha::kernels
