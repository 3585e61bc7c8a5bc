// 8-bit RGB to normalised floats and back.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "image/image.h"

namespace vicha {

/// CLIP's constants, of samples in 0 to 1, channels red, green, blue.
inline constexpr std::array<double, 3> kClipMean = {0.48145466, 0.4578275, 0.40821073};
inline constexpr std::array<double, 3> kClipStd = {0.26862954, 0.26130258, 0.27577711};

/// (x / 255 - mean) / std, in single precision as torchvision computes it.
class Normalizer {
 public:
  /// Throws UsageError unless both have three finite values and every deviation is positive.
  explicit Normalizer(std::span<const double> mean = kClipMean, std::span<const double> std = kClipStd);

  /// H x W x 3 bytes to 3 x H x W floats; `out` has exactly that size.
  void apply(const Image& image, std::span<float> out) const;
  /// The image nearest to 3 x height x width floats.
  Image undo(std::span<const float> values, int width, int height) const;

 private:
  std::array<std::array<float, 256>, 3> table_;
  std::array<double, 3> mean_, std_;
};

}  // namespace vicha
