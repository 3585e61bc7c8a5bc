// The loops over one row of similarities that the blocked contrast (contrast.h) is made of. Raw pointers, no
// allocation, no threads. A similarity is positive where the column's group equals the row's, else negative.
// T is float or c10::BFloat16; arithmetic is fp32.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace vicha::kernels {

/// The largest positive and the largest negative similarity, minus infinity where there is none; the sum of the
/// positive ones.
struct Peaks {
  float positive, negative, positive_sum;
};
Peaks peaks_row(const float* similarity, const std::int32_t* groups, std::int32_t group, std::int64_t n);
/// The largest of columns, row by row: raises what `positive` and `negative` (n) hold.
void column_peaks_row(const float* similarity, const std::int32_t* groups, std::int32_t group, float* positive,
                      float* negative, std::int64_t n);

/// Sum of exp(similarity - largest).
float exp_sum_row(const float* similarity, float largest, std::int64_t n);
/// Adds exp(similarity - largest) to each column's sum; `largest` and `sums` are (n).
void column_exp_sums_row(const float* similarity, const float* largest, float* sums, std::int64_t n);

/// grad = share * (exp(s - row_lse) + exp(s - column_lse)), less `target` where positive. May be in place.
template <class T>
void info_nce_gradient_row(const float* similarity, T* grad, float row_lse, const float* column_lse, float share,
                           const std::int32_t* groups, std::int32_t group, float target, std::int64_t n);

/// With l = s + bias: the sum of log(1 + e^-l) over positives and of log(1 + e^l) over negatives; grad = share *
/// (sigmoid(l) - 1 if positive), and its sum. May be in place.
struct SigmoidSums {
  float loss, gradient;
};
template <class T>
SigmoidSums sigmoid_row(const float* similarity, T* grad, float bias, float share, const std::int32_t* groups,
                        std::int32_t group, std::int64_t n);

}  // namespace vicha::kernels
