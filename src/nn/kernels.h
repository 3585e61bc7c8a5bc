// The loops over one row (or one run of elements) that the fused operations are made of. Raw pointers, no allocation,
// no threads: the operations in norm.cpp, gelu.cpp, attention.cpp and train/adamw.cpp split the work.
// T, R are float or c10::BFloat16; arithmetic is fp32.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

#include "nn/dropout.h"

namespace vicha::kernels {

/// sum = residual + dropout(delta + bias); out = (sum - mean) * rstd * weight + shift. With `delta` null, `sum` is the
/// input and is not written.
struct NormStatistics {
  float mean, rstd;
};
template <class T, class R>
NormStatistics residual_norm_row(const R* residual, const T* delta, const float* bias, const float* weight,
                                 const float* shift, float eps, std::uint32_t drop_threshold, std::uint32_t row_seed,
                                 float drop_scale, R* sum, T* out, std::int64_t n);

/// grad_sum = d out / d sum (+ upstream, may be null); adds to grad_weight and grad_shift.
template <class T, class R>
void residual_norm_backward_row(const T* grad_out, const R* upstream, const R* sum, NormStatistics statistics,
                                const float* weight, R* grad_sum, float* grad_weight, float* grad_shift,
                                std::int64_t n);

/// grad_delta = dropout applied to grad_sum; adds to grad_bias unless null.
template <class T, class R>
void drop_backward_row(const R* grad_sum, std::uint32_t drop_threshold, std::uint32_t row_seed, float drop_scale,
                       T* grad_delta, float* grad_bias, std::int64_t n);

/// out = gelu(x + bias), exact form.
template <class T>
void bias_gelu_row(const T* x, const float* bias, T* out, std::int64_t n);
/// grad_x = grad_out * gelu'(x + bias); adds to grad_bias.
template <class T>
void bias_gelu_backward_row(const T* grad_out, const T* x, const float* bias, T* grad_x, float* grad_bias,
                            std::int64_t n);

/// out = v sigmoid(1.702 v), v = x + bias.
template <class T>
void bias_quick_gelu_row(const T* x, const float* bias, T* out, std::int64_t n);

/// In place: p = softmax(scale * p); returns log sum exp of the scaled row.
float softmax_row(float* p, float scale, std::int64_t n);
/// In place: p = exp(scale * p - lse).
void exp_row(float* p, float scale, float lse, std::int64_t n);
/// In place, both: p dropped and scaled.
void drop_row(float* p, std::uint32_t threshold, std::uint32_t row_seed, float scale, std::int64_t n);
/// grad_s = scale * p * (drop(grad_p) - dot); threshold 0: nothing dropped.
void softmax_backward_row(const float* p, float* grad_p, float dot, float scale, std::uint32_t threshold,
                          std::uint32_t row_seed, float drop_scale, std::int64_t n);
float dot_row(const float* a, const float* b, std::int64_t n);

template <class T>
void copy_to_float(const T* from, float* to, std::int64_t n);
template <class T>
void copy_from_float(const float* from, T* to, std::int64_t n);

/// One AdamW step (decoupled decay) over n elements. PyTorch's arithmetic: p *= 1 - lr * decay; m, v; p -= step * m /
/// (sqrt(v) / bias2_sqrt + eps).
struct AdamwFactors {
  float keep;  ///< 1 - lr * decay
  float beta2;
  float new1, new2;  ///< 1 - beta1, 1 - beta2, rounded once from double
  float step;        ///< lr / (1 - beta1^t)
  float bias2_sqrt;  ///< sqrt(1 - beta2^t)
  float eps;
  float grad_scale;  ///< gradient clipping, 1 without
};
void adamw_row(float* p, const float* grad, float* m, float* v, const AdamwFactors& f, std::int64_t n);
/// m = m + rate * (p - m)
void ema_row(float* momentum, const float* online, float rate, std::int64_t n);

}  // namespace vicha::kernels
