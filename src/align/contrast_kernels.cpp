#include "align/contrast_kernels.h"

#include <cmath>

#include "nn/simd.h"
#include "nn/vector_math.h"

namespace vicha::kernels {
namespace {

// Bodies are inlined into the multiversioned entry points below, so that each clone vectorises its own copy (simd.h).

constexpr float kNone = -INFINITY;

/// log(1 + e) for 0 <= e <= 1, as 2 atanh(e / (2 + e)): to 2e-8 of log 2.
inline float log1p_of_exp(float e) {
  const float t = e / (2.0f + e), q = t * t;
  float p = 1.0f / 13.0f;
  p = p * q + 1.0f / 11.0f;
  p = p * q + 1.0f / 9.0f;
  p = p * q + 1.0f / 7.0f;
  p = p * q + 1.0f / 5.0f;
  p = p * q + 1.0f / 3.0f;
  p = p * q + 1.0f;
  return 2.0f * t * p;
}

VICHA_INLINE Peaks peaks_body(const float* s, const std::int32_t* groups, std::int32_t group, std::int64_t n) {
  float positive = kNone, negative = kNone, sum = 0.0f;
#pragma omp simd reduction(max : positive, negative) reduction(+ : sum)
  for (std::int64_t j = 0; j < n; ++j) {
    const bool same = groups[j] == group;
    const float p = same ? s[j] : kNone, q = same ? kNone : s[j];
    positive = p > positive ? p : positive;
    negative = q > negative ? q : negative;
    sum += same ? s[j] : 0.0f;
  }
  return {positive, negative, sum};
}

VICHA_INLINE void column_peaks_body(const float* s, const std::int32_t* groups, std::int32_t group, float* positive,
                                    float* negative, std::int64_t n) {
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) {
    const bool same = groups[j] == group;
    const float p = same ? s[j] : kNone, q = same ? kNone : s[j];
    positive[j] = p > positive[j] ? p : positive[j];
    negative[j] = q > negative[j] ? q : negative[j];
  }
}

VICHA_INLINE float exp_sum_body(const float* s, float largest, std::int64_t n) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t j = 0; j < n; ++j) total += fast_exp(s[j] - largest);
  return total;
}

VICHA_INLINE void column_exp_sums_body(const float* s, const float* largest, float* sums, std::int64_t n) {
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) sums[j] += fast_exp(s[j] - largest[j]);
}

template <class T>
VICHA_INLINE void info_nce_gradient_body(const float* s, T* grad, float row_lse, const float* column_lse, float share,
                                         const std::int32_t* groups, std::int32_t group, float target, std::int64_t n) {
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) {
    const float expected = share * (fast_exp(s[j] - row_lse) + fast_exp(s[j] - column_lse[j]));
    store(grad + j, expected - (groups[j] == group ? target : 0.0f));
  }
}

template <class T>
VICHA_INLINE SigmoidSums sigmoid_body(const float* s, T* grad, float bias, float share, const std::int32_t* groups,
                                      std::int32_t group, std::int64_t n) {
  float loss = 0.0f, gradient = 0.0f;
#pragma omp simd reduction(+ : loss, gradient)
  for (std::int64_t j = 0; j < n; ++j) {
    const float l = s[j] + bias;
    const bool same = groups[j] == group;
    const float against = same ? -l : l;  // what should be low
    const float e = fast_exp(against < 0.0f ? against : -against);
    loss += (against > 0.0f ? against : 0.0f) + log1p_of_exp(e);
    const float wrong = (against > 0.0f ? 1.0f : e) / (1.0f + e);  // sigmoid(against)
    const float g = share * (same ? -wrong : wrong);
    gradient += g;
    store(grad + j, g);
  }
  return {loss, gradient};
}

}  // namespace

VICHA_MULTIVERSION Peaks peaks_row(const float* similarity, const std::int32_t* groups, std::int32_t group,
                                   std::int64_t n) {
  return VICHA_WIDEST(peaks_body(similarity, groups, group, n));
}

VICHA_MULTIVERSION void column_peaks_row(const float* similarity, const std::int32_t* groups, std::int32_t group,
                                         float* positive, float* negative, std::int64_t n) {
  return VICHA_WIDEST(column_peaks_body(similarity, groups, group, positive, negative, n));
}

VICHA_MULTIVERSION float exp_sum_row(const float* similarity, float largest, std::int64_t n) {
  return VICHA_WIDEST(exp_sum_body(similarity, largest, n));
}

VICHA_MULTIVERSION void column_exp_sums_row(const float* similarity, const float* largest, float* sums,
                                            std::int64_t n) {
  return VICHA_WIDEST(column_exp_sums_body(similarity, largest, sums, n));
}

// target_clones does not apply to templates: one entry per type.
#define VICHA_CONTRAST(T)                                                                                            \
  template <>                                                                                                        \
  VICHA_MULTIVERSION void info_nce_gradient_row<T>(const float* similarity, T* grad, float row_lse,                  \
                                                   const float* column_lse, float share, const std::int32_t* groups, \
                                                   std::int32_t group, float target, std::int64_t n) {               \
    return VICHA_WIDEST(                                                                                             \
        info_nce_gradient_body(similarity, grad, row_lse, column_lse, share, groups, group, target, n));             \
  }                                                                                                                  \
  template <>                                                                                                        \
  VICHA_MULTIVERSION SigmoidSums sigmoid_row<T>(const float* similarity, T* grad, float bias, float share,           \
                                                const std::int32_t* groups, std::int32_t group, std::int64_t n) {    \
    return VICHA_WIDEST(sigmoid_body(similarity, grad, bias, share, groups, group, n));                              \
  }

VICHA_CONTRAST(float)
VICHA_CONTRAST(c10::BFloat16)

}  // namespace vicha::kernels
