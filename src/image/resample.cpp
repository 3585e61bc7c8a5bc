#include "image/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vicha::resample {
namespace {

constexpr int kFractionBits = 22;
constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

double bilinear(double x) { return std::max(0.0, 1.0 - std::fabs(x)); }

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= M_PI;
  return std::sin(x) / x;
}

double lanczos(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

struct Kernel {
  double support;  // half its width
  double (*at)(double x);
};

Kernel kernel_of(Filter filter) {
  if (filter == Filter::kBilinear) return {1.0, bilinear};
  return filter == Filter::kBicubic ? Kernel{2.0, bicubic} : Kernel{3.0, lanczos};
}

std::uint8_t to_byte(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255)); }

/// One row: `weights.out` pixels.
void filter_row(const std::uint8_t* in, const Weights& weights, int channels, std::uint8_t* out) {
  for (int i = 0; i < weights.out; ++i) {
    const std::int32_t* weight = weights.fixed.data() + static_cast<std::size_t>(i) * weights.taps;
    for (int c = 0; c < channels; ++c) {
      const std::uint8_t* from = in + static_cast<std::size_t>(weights.first[i]) * channels + c;
      std::int32_t sum = kHalf;
      for (int t = 0; t < weights.count[i]; ++t) sum += from[static_cast<std::size_t>(t) * channels] * weight[t];
      *out++ = to_byte(sum);
    }
  }
}

/// Bytes `begin` to `size` of one output row: the weighted sum of `count` input rows.
void mix_rows(const std::uint8_t* in, std::size_t stride, int count, const std::int32_t* weight, std::size_t begin,
              std::size_t size, std::uint8_t* out) {
  for (std::size_t x = begin; x < size; ++x) {
    std::int32_t sum = kHalf;
    for (int t = 0; t < count; ++t) sum += in[stride * static_cast<std::size_t>(t) + x] * weight[t];
    out[x] = to_byte(sum);
  }
}

#if defined(__x86_64__)
// The same with AVX2; compilers do not find these themselves (GCC 12 widens bytes one by one).

bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}

constexpr int kTapsPerStep = 4;

/// Weights of four taps side by side, each four times (once a channel): two vectors a step, zeros behind the last.
std::vector<std::int32_t> spread(const Weights& weights, int steps) {
  std::vector<std::int32_t> spread(static_cast<std::size_t>(weights.out) * steps * 16);
  for (int i = 0; i < weights.out; ++i) {
    for (int t = 0; t < weights.count[i]; ++t) {
      const auto at = (static_cast<std::size_t>(i) * steps * kTapsPerStep + t) * 4;
      std::fill_n(spread.data() + at, 4, weights.fixed[static_cast<std::size_t>(i) * weights.taps + t]);
    }
  }
  return spread;
}

/// One row of 3 or 4 channels. Reads up to 28 bytes beyond the row's end, and writes one beyond it where there are 3.
template <int Channels>
__attribute__((target("avx2"))) void filter_row_avx2(const std::uint8_t* in, const Weights& weights,
                                                     const std::int32_t* spread, int steps, std::uint8_t* out) {
  // Four lanes a pixel; of 3 channels the fourth lane is the next pixel's first, which nobody looks at.
  const __m128i apart = _mm_setr_epi8(0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 9, 10, 11, 12);
  for (int i = 0; i < weights.out; ++i, spread += static_cast<std::size_t>(steps) * 16, out += Channels) {
    __m256i even = _mm256_castsi128_si256(_mm_set1_epi32(kHalf)), odd = _mm256_setzero_si256();
    even = _mm256_inserti128_si256(even, _mm_setzero_si128(), 1);
    const std::uint8_t* from = in + static_cast<std::size_t>(weights.first[i]) * Channels;
    const int used = (weights.count[i] + kTapsPerStep - 1) / kTapsPerStep;
    for (int s = 0; s < used; ++s, from += kTapsPerStep * Channels) {
      __m128i pixels = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
      if constexpr (Channels == 3) pixels = _mm_shuffle_epi8(pixels, apart);
      const auto* weight = reinterpret_cast<const __m256i*>(spread + s * 16);
      even = _mm256_add_epi32(even, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(pixels), _mm256_loadu_si256(weight)));
      odd = _mm256_add_epi32(
          odd, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_srli_si128(pixels, 8)), _mm256_loadu_si256(weight + 1)));
    }
    const __m256i both = _mm256_add_epi32(even, odd);
    __m128i pixel = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    pixel = _mm_srai_epi32(pixel, kFractionBits);
    pixel = _mm_packs_epi32(pixel, pixel);
    const int bytes = _mm_cvtsi128_si32(_mm_packus_epi16(pixel, pixel));
    std::memcpy(out, &bytes, 4);
  }
}

/// Whole vectors of 32 bytes; gives the number of bytes done.
__attribute__((target("avx2"))) std::size_t mix_rows_avx2(const std::uint8_t* in, std::size_t stride, int count,
                                                          const std::int32_t* weight, std::size_t size,
                                                          std::uint8_t* out) {
  std::size_t x = 0;
  for (; x + 32 <= size; x += 32) {
    __m256i sum[4];
    for (__m256i& s : sum) s = _mm256_set1_epi32(kHalf);
    const std::uint8_t* from = in + x;
    for (int t = 0; t < count; ++t, from += stride) {
      const __m256i w = _mm256_set1_epi32(weight[t]);
      for (int i = 0; i < 4; ++i) {
        const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + 8 * i));
        sum[i] = _mm256_add_epi32(sum[i], _mm256_mullo_epi32(_mm256_cvtepu8_epi32(eight), w));
      }
    }
    for (__m256i& s : sum) s = _mm256_srai_epi32(s, kFractionBits);
    // The packing instructions work on halves; put the eight groups of four bytes back in order.
    const __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(sum[0], sum[1]), _mm256_packs_epi32(sum[2], sum[3]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + x),
                        _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
  }
  return x;
}

void horizontal_avx2(const View& in, const Weights& weights, std::uint8_t* out) {
  const std::size_t in_bytes = static_cast<std::size_t>(in.width) * in.channels;
  const std::size_t out_bytes = static_cast<std::size_t>(weights.out) * in.channels;
  const int steps = (weights.taps + kTapsPerStep - 1) / kTapsPerStep;
  const std::vector<std::int32_t> vectors = spread(weights, steps);
  // Full vectors reach beyond the row's end, so each row is worked on in buffers with room for that.
  std::vector<std::uint8_t> from(in_bytes + 32), to(out_bytes + 4);
  for (int y = 0; y < in.height; ++y) {
    std::memcpy(from.data(), in.row(y), in_bytes);
    (in.channels == 3 ? filter_row_avx2<3> : filter_row_avx2<4>)(from.data(), weights, vectors.data(), steps,
                                                                 to.data());
    std::memcpy(out + out_bytes * y, to.data(), out_bytes);
  }
}
#endif

}  // namespace

Weights filter_weights(Filter filter, int in, int out, double extent) {
  const Kernel kernel = kernel_of(filter);
  const double scale = (extent > 0 ? extent : in) / out;
  const double stretch = std::max(scale, 1.0);  // of the kernel: antialiasing when the image shrinks
  const double support = kernel.support * stretch, narrow = 1.0 / stretch;
  Weights weights;
  weights.in = in;
  weights.out = out;
  weights.taps = static_cast<int>(std::ceil(support)) * 2 + 1;
  weights.first.resize(out);
  weights.count.resize(out);
  weights.exact.resize(static_cast<std::size_t>(out) * weights.taps);
  weights.fixed.resize(weights.exact.size());
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int begin = std::max(static_cast<int>(center - support + 0.5), 0);
    const int end = std::min(static_cast<int>(center + support + 0.5), in);
    double* exact = weights.exact.data() + static_cast<std::size_t>(i) * weights.taps;
    std::int32_t* fixed = weights.fixed.data() + static_cast<std::size_t>(i) * weights.taps;
    double total = 0.0;
    for (int t = 0; t < end - begin; ++t) {
      const double at = (t + begin - center + 0.5) * narrow;
      total += exact[t] = kernel.at(at);
    }
    for (int t = 0; t < end - begin; ++t) {
      if (total != 0.0) exact[t] /= total;
      fixed[t] = static_cast<std::int32_t>(exact[t] * (1 << kFractionBits) + (exact[t] < 0 ? -0.5 : 0.5));
    }
    weights.first[i] = begin;
    weights.count[i] = end - begin;
  }
  return weights;
}

void horizontal(const View& in, const Weights& weights, std::uint8_t* out) {
#if defined(__x86_64__)
  if (in.channels >= 3 && has_avx2()) return horizontal_avx2(in, weights, out);
#endif
  const std::size_t out_bytes = static_cast<std::size_t>(weights.out) * in.channels;
  for (int y = 0; y < in.height; ++y) filter_row(in.row(y), weights, in.channels, out + out_bytes * y);
}

void vertical(const View& in, const Weights& weights, std::uint8_t* out) {
  const std::size_t bytes = static_cast<std::size_t>(in.width) * in.channels;
  for (int i = 0; i < weights.out; ++i, out += bytes) {
    const std::uint8_t* first = in.row(weights.first[i]);
    const std::int32_t* weight = weights.fixed.data() + static_cast<std::size_t>(i) * weights.taps;
    std::size_t done = 0;
#if defined(__x86_64__)
    if (has_avx2()) done = mix_rows_avx2(first, in.stride, weights.count[i], weight, bytes, out);
#endif
    mix_rows(first, in.stride, weights.count[i], weight, done, bytes, out);
  }
}

}  // namespace vicha::resample
