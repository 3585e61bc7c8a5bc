// g++ does not find the instruction that multiplies 16-bit numbers and adds pairs (vpmaddwd) in the plain loop: with it
// a scan runs five times as fast, at the rate at which memory gives the codes.
#include "search/scan_kernel.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define VICHA_SCAN_X86
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 warns of its own header
#endif
#endif

namespace vicha::kernels {
namespace {

using Scan = void (*)(const std::int8_t*, const std::int16_t*, std::int64_t, std::int64_t, std::int32_t*);

void scan_plain(const std::int8_t* codes, const std::int16_t* query, std::int64_t stride, std::int64_t rows,
                std::int32_t* out) {
  for (std::int64_t i = 0; i < rows; ++i) {
    std::int32_t sum = 0;
    for (std::int64_t j = 0; j < stride; ++j) sum += static_cast<std::int32_t>(codes[i * stride + j]) * query[j];
    out[i] = sum;
  }
}

#ifdef VICHA_SCAN_X86

__attribute__((target("avx512f,avx512bw"))) void scan_512(const std::int8_t* codes, const std::int16_t* query,
                                                          std::int64_t stride, std::int64_t rows, std::int32_t* out) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int8_t* c = codes + i * stride;
    __m512i sum = _mm512_setzero_si512(), other = sum;
    for (std::int64_t j = 0; j < stride; j += 64) {
      const __m512i a = _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(c + j)));
      const __m512i b = _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(c + j + 32)));
      sum = _mm512_add_epi32(sum, _mm512_madd_epi16(a, _mm512_loadu_si512(query + j)));
      other = _mm512_add_epi32(other, _mm512_madd_epi16(b, _mm512_loadu_si512(query + j + 32)));
    }
    out[i] = _mm512_reduce_add_epi32(_mm512_add_epi32(sum, other));
  }
}

__attribute__((target("avx2"))) void scan_256(const std::int8_t* codes, const std::int16_t* query, std::int64_t stride,
                                              std::int64_t rows, std::int32_t* out) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int8_t* c = codes + i * stride;
    __m256i sum = _mm256_setzero_si256(), other = sum;
    for (std::int64_t j = 0; j < stride; j += 32) {
      const __m256i a = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(c + j)));
      const __m256i b = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(c + j + 16)));
      const auto* q = reinterpret_cast<const __m256i*>(query + j);
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a, _mm256_loadu_si256(q)));
      other = _mm256_add_epi32(other, _mm256_madd_epi16(b, _mm256_loadu_si256(q + 1)));
    }
    alignas(32) std::int32_t lanes[8];
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), _mm256_add_epi32(sum, other));
    std::int32_t all = 0;
    for (const std::int32_t lane : lanes) all += lane;
    out[i] = all;
  }
}

#endif

Scan widest_scan() {
#ifdef VICHA_SCAN_X86
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) return scan_512;
  if (__builtin_cpu_supports("avx2")) return scan_256;
#endif
  return scan_plain;
}

}  // namespace

void scan_codes(const std::int8_t* codes, const std::int16_t* query, std::int64_t stride, std::int64_t rows,
                std::int32_t* out) {
  static const Scan scan = widest_scan();
  scan(codes, query, stride, rows, out);
}

}  // namespace vicha::kernels
