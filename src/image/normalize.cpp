#include "image/normalize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace vicha {

Normalizer::Normalizer(std::span<const double> mean, std::span<const double> std) {
  if (mean.size() != 3 || std.size() != 3) {
    throw UsageError(
        fmt::format("mean and std take three values each, one a colour; given are {} and {}", mean.size(), std.size()));
  }
  for (std::size_t c = 0; c < 3; ++c) {
    if (!std::isfinite(mean[c]) || !std::isfinite(std[c]) || std[c] <= 0) {
      throw UsageError(fmt::format("mean {} and std {} cannot normalise a picture", mean[c], std[c]));
    }
    mean_[c] = mean[c];
    std_[c] = std[c];
    for (int v = 0; v < 256; ++v) {
      table_[c][v] = (static_cast<float>(v) / 255.0f - static_cast<float>(mean[c])) / static_cast<float>(std[c]);
    }
  }
}

void Normalizer::apply(const Image& image, std::span<float> out) const {
  const std::size_t plane = static_cast<std::size_t>(image.width) * image.height;
  VICHA_ASSERT(image.channels == 3 && out.size() == 3 * plane);
  const std::uint8_t* in = image.pixels.data();
  float *red = out.data(), *green = red + plane, *blue = green + plane;
  for (std::size_t i = 0; i < plane; ++i, in += 3) {
    red[i] = table_[0][in[0]];
    green[i] = table_[1][in[1]];
    blue[i] = table_[2][in[2]];
  }
}

Image Normalizer::undo(std::span<const float> values, int width, int height) const {
  Image image(width, height, 3);
  const std::size_t plane = static_cast<std::size_t>(width) * height;
  VICHA_ASSERT(values.size() == 3 * plane);
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      const double v = (static_cast<double>(values[c * plane + i]) * std_[c] + mean_[c]) * 255.0;
      image.pixels[3 * i + c] = static_cast<std::uint8_t>(std::isnan(v) ? 0.0 : std::clamp(std::round(v), 0.0, 255.0));
    }
  }
  return image;
}

}  // namespace vicha
