// Scalar functions that compilers vectorise: no branches, no calls, no tables.
#pragma once

#include <c10/util/BFloat16.h>

#include <bit>
#include <cstdint>

namespace vicha {

inline float load(const float* p) { return *p; }
inline float load(const c10::BFloat16* p) {
  std::uint16_t bits;
  __builtin_memcpy(&bits, p, sizeof bits);
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}
inline void store(float* p, float x) { *p = x; }
/// Rounds to nearest even; NaN stays NaN.
inline void store(c10::BFloat16* p, float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const std::uint16_t result = static_cast<std::uint16_t>(x != x ? 0x7fc0u : rounded);
  __builtin_memcpy(p, &result, sizeof result);
}

/// e^x to 2 ulp for x <= 88; smaller than -87 gives about 1e-38.
inline float fast_exp(float x) {
  x = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);
  const float shifted = x * 1.44269504f + 12582912.0f;  // adding 1.5 * 2^23 rounds to an integer
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const std::int32_t exponent = (std::bit_cast<std::int32_t>(shifted) - 0x4b400000 + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}

/// The normal distribution's Phi(x) and density phi(x). Phi is half of erfcx(z) e^(-z^2), z = |x| / sqrt 2, with erfcx
/// fitted by a polynomial of degree 8 in 1 / (1 + 0.42 z): relative error 4e-8 for z <= 6.
struct Normal {
  float cdf, density;
};
inline Normal normal(float x) {
  const float z = (x < 0.0f ? -x : x) * 0.70710678f;
  const float t = 1.0f / (1.0f + 0.42f * z);
  float p = 0.07619030085f;
  p = p * t - 0.34585677679f;
  p = p * t + 0.48641612948f;
  p = p * t - 0.17449093567f;
  p = p * t + 0.29323292685f;
  p = p * t + 0.18683536063f;
  p = p * t + 0.24094533688f;
  p = p * t + 0.23672769024f;
  const float e = fast_exp(-z * z);
  const float tail = 0.5f * p * t * e;
  return {x < 0.0f ? tail : 1.0f - tail, 0.39894228f * e};
}

/// 32 random bits from a row's seed and a column: the finaliser of MurmurHash3.
inline std::uint32_t random_bits(std::uint32_t row_seed, std::uint32_t column) {
  std::uint32_t h = row_seed ^ (column * 0x9e3779b1u);
  h ^= h >> 16;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  h *= 0xc2b2ae35u;
  h ^= h >> 16;
  return h;
}

}  // namespace vicha
