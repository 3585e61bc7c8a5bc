// The loop that a search spends its time in.
#pragma once

#include <cstdint>

namespace vicha::kernels {

/// out[i] = sum over j of codes[i * stride + j] * query[j], for `rows` rows. `stride` is a multiple of 64, and numbers
/// beyond a vector's width are zero on both sides. No |query[j]| may be above most_of_query(stride), so that 32 bits
/// hold every sum.
void scan_codes(const std::int8_t* codes, const std::int16_t* query, std::int64_t stride, std::int64_t rows,
                std::int32_t* out);

constexpr std::int64_t most_of_query(std::int64_t stride) {
  const std::int64_t most = 2147483647 / (127 * stride);
  return most < 32767 ? most : 32767;
}

}  // namespace vicha::kernels
