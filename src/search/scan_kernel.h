// The loop that a search spends its time in.
#pragma once

#include <cstdint>

namespace vicha::kernels {

/// out[i] = sum over j of codes[i * stride + j] * query[j], for `rows` rows. `stride` is a multiple of 64, and numbers
/// beyond a vector's width are zero on both sides.
void scan_codes(const std::int8_t* codes, const float* query, std::int64_t stride, std::int64_t rows, float* out);

}  // namespace vicha::kernels
