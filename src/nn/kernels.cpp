#include "nn/kernels.h"

#include <cmath>

#include "nn/simd.h"
#include "nn/vector_math.h"

namespace vicha::kernels {
namespace {

// Bodies are inlined into the multiversioned entry points below, so that each clone vectorises its own copy (simd.h).

template <class T, class R>
VICHA_INLINE NormStatistics residual_norm_body(const R* residual, const T* delta, const float* bias,
                                               const float* weight, const float* shift, float eps,
                                               std::uint32_t threshold, std::uint32_t row_seed, float drop_scale,
                                               R* sum, T* out, std::int64_t n) {
  float total = 0.0f;
  if (delta == nullptr) {
#pragma omp simd reduction(+ : total)
    for (std::int64_t i = 0; i < n; ++i) total += load(sum + i);
  } else if (threshold == 0) {
#pragma omp simd reduction(+ : total)
    for (std::int64_t i = 0; i < n; ++i) {
      const float x = load(residual + i) + (load(delta + i) + bias[i]);
      store(sum + i, x);
      total += x;
    }
  } else {
#pragma omp simd reduction(+ : total)
    for (std::int64_t i = 0; i < n; ++i) {
      const float d = random_bits(row_seed, static_cast<std::uint32_t>(i)) < threshold ? 0.0f : drop_scale;
      const float x = load(residual + i) + d * (load(delta + i) + bias[i]);
      store(sum + i, x);
      total += x;
    }
  }
  const float mean = total / static_cast<float>(n);
  float square = 0.0f;
#pragma omp simd reduction(+ : square)
  for (std::int64_t i = 0; i < n; ++i) {
    const float x = load(sum + i) - mean;
    square += x * x;
  }
  const float rstd = 1.0f / std::sqrt(square / static_cast<float>(n) + eps);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(out + i, (load(sum + i) - mean) * rstd * weight[i] + shift[i]);
  return {mean, rstd};
}

template <class T, class R>
VICHA_INLINE void residual_norm_backward_body(const T* grad_out, const R* upstream, const R* sum, NormStatistics s,
                                              const float* weight, R* grad_sum, float* grad_weight, float* grad_shift,
                                              std::int64_t n) {
  float a = 0.0f, b = 0.0f;
#pragma omp simd reduction(+ : a, b)
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = load(grad_out + i), x = (load(sum + i) - s.mean) * s.rstd;
    const float gw = g * weight[i];
    a += gw;
    b += gw * x;
    grad_weight[i] += g * x;
    grad_shift[i] += g;
  }
  a /= static_cast<float>(n);
  b /= static_cast<float>(n);
  if (upstream != nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const float x = (load(sum + i) - s.mean) * s.rstd;
      store(grad_sum + i, load(upstream + i) + s.rstd * (load(grad_out + i) * weight[i] - a - x * b));
    }
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const float x = (load(sum + i) - s.mean) * s.rstd;
      store(grad_sum + i, s.rstd * (load(grad_out + i) * weight[i] - a - x * b));
    }
  }
}

template <class T, class R>
VICHA_INLINE void drop_backward_body(const R* grad_sum, std::uint32_t threshold, std::uint32_t row_seed, float scale,
                                     T* grad_delta, float* grad_bias, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float d = random_bits(row_seed, static_cast<std::uint32_t>(i)) < threshold ? 0.0f : scale;
    const float g = d * load(grad_sum + i);
    store(grad_delta + i, g);
    grad_bias[i] += g;
  }
}

template <class T>
VICHA_INLINE void bias_gelu_body(const T* x, const float* bias, T* out, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = load(x + i) + bias[i];
    store(out + i, v * normal(v).cdf);
  }
}

template <class T>
VICHA_INLINE void bias_gelu_backward_body(const T* grad_out, const T* x, const float* bias, T* grad_x, float* grad_bias,
                                          std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = load(x + i) + bias[i];
    const Normal d = normal(v);
    const float g = load(grad_out + i) * (d.cdf + v * d.density);
    store(grad_x + i, g);
    grad_bias[i] += g;
  }
}

template <class T>
VICHA_INLINE void bias_quick_gelu_body(const T* x, const float* bias, T* out, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = load(x + i) + bias[i];
    store(out + i, v / (1.0f + fast_exp(-1.702f * v)));
  }
}

template <class T>
VICHA_INLINE void copy_to_float_body(const T* from, float* to, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) to[i] = load(from + i);
}

template <class T>
VICHA_INLINE void copy_from_float_body(const float* from, T* to, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(to + i, from[i]);
}

VICHA_INLINE float largest_of(const float* p, std::int64_t n) {
#ifdef __clang__
  // In strands, since clang makes no vectors of a reduction to the maximum; g++ does, and is faster so.
  float most[16];
  for (float& m : most) m = -INFINITY;
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (int j = 0; j < 16; ++j) most[j] = p[i + j] > most[j] ? p[i + j] : most[j];
  }
  for (; i < n; ++i) most[0] = p[i] > most[0] ? p[i] : most[0];
  for (const float m : most) most[0] = m > most[0] ? m : most[0];
  return most[0];
#else
  float largest = -INFINITY;
#pragma omp simd reduction(max : largest)
  for (std::int64_t i = 0; i < n; ++i) largest = p[i] > largest ? p[i] : largest;
  return largest;
#endif
}

VICHA_INLINE float softmax_body(float* p, float scale, std::int64_t n) {
  const float largest = scale * largest_of(p, n);
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < n; ++i) {
    const float e = fast_exp(scale * p[i] - largest);
    p[i] = e;
    total += e;
  }
  const float inverse = 1.0f / total;
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) p[i] *= inverse;
  return largest + std::log(total);
}

VICHA_INLINE void exp_body(float* p, float scale, float lse, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) p[i] = fast_exp(scale * p[i] - lse);
}

VICHA_INLINE void drop_body(float* p, std::uint32_t threshold, std::uint32_t row_seed, float scale, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    p[i] *= random_bits(row_seed, static_cast<std::uint32_t>(i)) < threshold ? 0.0f : scale;
  }
}

VICHA_INLINE void softmax_backward_body(const float* p, float* grad_p, float dot, float scale, std::uint32_t threshold,
                                        std::uint32_t row_seed, float drop_scale, std::int64_t n) {
  if (threshold == 0) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) grad_p[i] = scale * p[i] * (grad_p[i] - dot);
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const float d = random_bits(row_seed, static_cast<std::uint32_t>(i)) < threshold ? 0.0f : drop_scale;
      grad_p[i] = scale * p[i] * (d * grad_p[i] - dot);
    }
  }
}

VICHA_INLINE float dot_body(const float* a, const float* b, std::int64_t n) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < n; ++i) total += a[i] * b[i];
  return total;
}

VICHA_INLINE void ema_body(float* momentum, const float* online, float rate, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) momentum[i] += rate * (online[i] - momentum[i]);
}

}  // namespace

// target_clones does not apply to templates: one entry per combination of types.
#define VICHA_NORM(T, R)                                                                                              \
  template <>                                                                                                         \
  VICHA_MULTIVERSION NormStatistics residual_norm_row<T, R>(                                                          \
      const R* residual, const T* delta, const float* bias, const float* weight, const float* shift, float eps,       \
      std::uint32_t threshold, std::uint32_t row_seed, float drop_scale, R* sum, T* out, std::int64_t n) {            \
    return VICHA_WIDEST(                                                                                              \
        residual_norm_body(residual, delta, bias, weight, shift, eps, threshold, row_seed, drop_scale, sum, out, n)); \
  }                                                                                                                   \
  template <>                                                                                                         \
  VICHA_MULTIVERSION void residual_norm_backward_row<T, R>(const T* grad_out, const R* upstream, const R* sum,        \
                                                           NormStatistics s, const float* weight, R* grad_sum,        \
                                                           float* grad_weight, float* grad_shift, std::int64_t n) {   \
    return VICHA_WIDEST(                                                                                              \
        residual_norm_backward_body(grad_out, upstream, sum, s, weight, grad_sum, grad_weight, grad_shift, n));       \
  }                                                                                                                   \
  template <>                                                                                                         \
  VICHA_MULTIVERSION void drop_backward_row<T, R>(const R* grad_sum, std::uint32_t threshold, std::uint32_t row_seed, \
                                                  float scale, T* grad_delta, float* grad_bias, std::int64_t n) {     \
    return VICHA_WIDEST(drop_backward_body(grad_sum, threshold, row_seed, scale, grad_delta, grad_bias, n));          \
  }

#define VICHA_GELU(T)                                                                                            \
  template <>                                                                                                    \
  VICHA_MULTIVERSION void bias_gelu_row<T>(const T* x, const float* bias, T* out, std::int64_t n) {              \
    return VICHA_WIDEST(bias_gelu_body(x, bias, out, n));                                                        \
  }                                                                                                              \
  template <>                                                                                                    \
  VICHA_MULTIVERSION void bias_gelu_backward_row<T>(const T* grad_out, const T* x, const float* bias, T* grad_x, \
                                                    float* grad_bias, std::int64_t n) {                          \
    return VICHA_WIDEST(bias_gelu_backward_body(grad_out, x, bias, grad_x, grad_bias, n));                       \
  }                                                                                                              \
  template <>                                                                                                    \
  VICHA_MULTIVERSION void bias_quick_gelu_row<T>(const T* x, const float* bias, T* out, std::int64_t n) {        \
    return VICHA_WIDEST(bias_quick_gelu_body(x, bias, out, n));                                                  \
  }                                                                                                              \
  template <>                                                                                                    \
  VICHA_MULTIVERSION void copy_to_float<T>(const T* from, float* to, std::int64_t n) {                           \
    return VICHA_WIDEST(copy_to_float_body(from, to, n));                                                        \
  }                                                                                                              \
  template <>                                                                                                    \
  VICHA_MULTIVERSION void copy_from_float<T>(const float* from, T* to, std::int64_t n) {                         \
    return VICHA_WIDEST(copy_from_float_body(from, to, n));                                                      \
  }

VICHA_NORM(float, float)
VICHA_NORM(c10::BFloat16, float)
VICHA_NORM(c10::BFloat16, c10::BFloat16)
VICHA_GELU(float)
VICHA_GELU(c10::BFloat16)

VICHA_MULTIVERSION float softmax_row(float* p, float scale, std::int64_t n) {
  return VICHA_WIDEST(softmax_body(p, scale, n));
}

VICHA_MULTIVERSION void exp_row(float* p, float scale, float lse, std::int64_t n) {
  return VICHA_WIDEST(exp_body(p, scale, lse, n));
}

VICHA_MULTIVERSION void drop_row(float* p, std::uint32_t threshold, std::uint32_t row_seed, float scale,
                                 std::int64_t n) {
  return VICHA_WIDEST(drop_body(p, threshold, row_seed, scale, n));
}

VICHA_MULTIVERSION void softmax_backward_row(const float* p, float* grad_p, float dot, float scale,
                                             std::uint32_t threshold, std::uint32_t row_seed, float drop_scale,
                                             std::int64_t n) {
  return VICHA_WIDEST(softmax_backward_body(p, grad_p, dot, scale, threshold, row_seed, drop_scale, n));
}

VICHA_MULTIVERSION float dot_row(const float* a, const float* b, std::int64_t n) {
  return VICHA_WIDEST(dot_body(a, b, n));
}

VICHA_MULTIVERSION void ema_row(float* momentum, const float* online, float rate, std::int64_t n) {
  return VICHA_WIDEST(ema_body(momentum, online, rate, n));
}

}  // namespace vicha::kernels
