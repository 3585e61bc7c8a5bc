#include "image/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

// The passes are compiled once per instruction set and chosen when the program starts. Not under sanitizers: the
// choice would run before they are ready.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VICHA_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VICHA_CLONES
#endif

namespace vicha::resample {
namespace {

constexpr int kFractionBits = 22;
constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);
constexpr double kSupport = 2.0;

using Bytes4 = std::uint8_t __attribute__((vector_size(4)));
using Bytes16 = std::uint8_t __attribute__((vector_size(16)));
using Ints4 = std::int32_t __attribute__((vector_size(16)));
using Ints8 = std::int32_t __attribute__((vector_size(32)));
using Ints16 = std::int32_t __attribute__((vector_size(64)));

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

std::uint8_t to_byte(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

constexpr int kTapsPerStep = 4;

/// Weights of four taps side by side, each four times (once a channel): one vector a step, zeros behind the last.
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

/// One row of 3 or 4 channels. `in` may be read up to 16 bytes beyond the last tap of a full step, `out` is written
/// one byte beyond its end when there are 3 channels.
template <int Channels>
inline __attribute__((always_inline)) void filter_row(const std::uint8_t* in, const Weights& weights,
                                                      const std::int32_t* spread, int steps, std::uint8_t* out) {
  for (int i = 0; i < weights.out; ++i, spread += static_cast<std::size_t>(steps) * 16, out += Channels) {
    Ints16 sum{};
    const std::uint8_t* from = in + static_cast<std::size_t>(weights.first[i]) * Channels;
    const int used = (weights.count[i] + kTapsPerStep - 1) / kTapsPerStep;
    for (int s = 0; s < used; ++s, from += kTapsPerStep * Channels) {
      Bytes16 pixels;
      Ints16 weight;
      std::memcpy(&pixels, from, sizeof pixels);
      std::memcpy(&weight, spread + s * 16, sizeof weight);
      if constexpr (Channels == 3) {
        pixels = __builtin_shufflevector(pixels, pixels, 0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 9, 10, 11, 12);
      }
      sum += __builtin_convertvector(pixels, Ints16) * weight;
    }
    const Ints8 half = __builtin_shufflevector(sum, sum, 0, 1, 2, 3, 4, 5, 6, 7) +
                       __builtin_shufflevector(sum, sum, 8, 9, 10, 11, 12, 13, 14, 15);
    Ints4 pixel = __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
    pixel = (pixel + kHalf) >> kFractionBits;
    pixel = pixel < 0 ? Ints4{} : pixel;
    pixel = pixel > 255 ? Ints4{255, 255, 255, 255} : pixel;
    const Bytes4 bytes = __builtin_convertvector(pixel, Bytes4);
    std::memcpy(out, &bytes, 4);
  }
}

VICHA_CLONES void filter_row_3(const std::uint8_t* in, const Weights& weights, const std::int32_t* spread, int steps,
                               std::uint8_t* out) {
  filter_row<3>(in, weights, spread, steps, out);
}

VICHA_CLONES void filter_row_4(const std::uint8_t* in, const Weights& weights, const std::int32_t* spread, int steps,
                               std::uint8_t* out) {
  filter_row<4>(in, weights, spread, steps, out);
}

void filter_row_any(const std::uint8_t* in, const Weights& weights, int channels, std::uint8_t* out) {
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

/// One output row: the weighted sum of `count` input rows of `size` bytes.
VICHA_CLONES void mix_rows(const std::uint8_t* in, std::size_t stride, int count, const std::int32_t* weight,
                           std::size_t size, std::uint8_t* out) {
  std::size_t x = 0;
  for (; x + 16 <= size; x += 16) {
    Ints16 sum = Ints16{} + kHalf;
    const std::uint8_t* from = in + x;
    for (int t = 0; t < count; ++t, from += stride) {
      Bytes16 row;
      std::memcpy(&row, from, sizeof row);
      sum += __builtin_convertvector(row, Ints16) * weight[t];
    }
    sum >>= kFractionBits;
    sum = sum < 0 ? Ints16{} : sum;
    sum = sum > 255 ? Ints16{} + 255 : sum;
    const Bytes16 bytes = __builtin_convertvector(sum, Bytes16);
    std::memcpy(out + x, &bytes, 16);
  }
  for (; x < size; ++x) {
    std::int32_t sum = kHalf;
    for (int t = 0; t < count; ++t) sum += in[stride * static_cast<std::size_t>(t) + x] * weight[t];
    out[x] = to_byte(sum);
  }
}

}  // namespace

Weights bicubic_weights(int in, int out) {
  const double scale = static_cast<double>(in) / out;
  const double stretch = std::max(scale, 1.0);  // of the kernel: antialiasing when the picture shrinks
  const double support = kSupport * stretch, narrow = 1.0 / stretch;
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
    for (int t = 0; t < end - begin; ++t) total += exact[t] = bicubic((t + begin - center + 0.5) * narrow);
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
  const std::size_t in_bytes = static_cast<std::size_t>(in.width) * in.channels;
  const std::size_t out_bytes = static_cast<std::size_t>(weights.out) * in.channels;
  if (in.channels < 3) {
    for (int y = 0; y < in.height; ++y) filter_row_any(in.row(y), weights, in.channels, out + out_bytes * y);
    return;
  }
  // Full vectors reach beyond the row's end, so each row is worked on in buffers with room for that.
  const int steps = (weights.taps + kTapsPerStep - 1) / kTapsPerStep;
  const std::vector<std::int32_t> vectors = spread(weights, steps);
  std::vector<std::uint8_t> from(in_bytes + 32), to(out_bytes + 4);
  for (int y = 0; y < in.height; ++y) {
    std::memcpy(from.data(), in.row(y), in_bytes);
    (in.channels == 3 ? filter_row_3 : filter_row_4)(from.data(), weights, vectors.data(), steps, to.data());
    std::memcpy(out + out_bytes * y, to.data(), out_bytes);
  }
}

void vertical(const View& in, const Weights& weights, std::uint8_t* out) {
  const std::size_t bytes = static_cast<std::size_t>(in.width) * in.channels;
  for (int i = 0; i < weights.out; ++i) {
    mix_rows(in.row(weights.first[i]), in.stride, weights.count[i],
             weights.fixed.data() + static_cast<std::size_t>(i) * weights.taps, bytes, out + bytes * i);
  }
}

}  // namespace vicha::resample
