// The two passes of Pillow's 8-bit resampling; resize.h is what callers want.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "image/image.h"
#include "image/resize.h"

namespace vicha::resample {

/// A rectangle of rows inside of somebody's image.
struct View {
  const std::uint8_t* data;
  std::size_t stride;  ///< bytes from row to row
  int width, height, channels;
  const std::uint8_t* row(int y) const { return data + stride * static_cast<std::size_t>(y); }
};

/// Along one axis: output i = sum over t < count[i] of weight(i, t) * input[first[i] + t].
struct Weights {
  int in = 0, out = 0;
  int taps = 0;                     ///< most inputs to one output
  std::vector<int> first, count;    ///< [out]
  std::vector<double> exact;        ///< [out, taps], each row's sum is 1
  std::vector<std::int32_t> fixed;  ///< the same in units of 2^-22, rounded half away from zero
};

/// `extent`: how much of the input the output covers, from its start, at most `in` (which is taken where none is
/// given).
Weights filter_weights(Filter filter, int in, int out, double extent = 0);

/// `out` is an image of weights.out x in.height without padding.
void horizontal(const View& in, const Weights& weights, std::uint8_t* out);
/// `out` is an image of in.width x weights.out without padding.
void vertical(const View& in, const Weights& weights, std::uint8_t* out);

}  // namespace vicha::resample
