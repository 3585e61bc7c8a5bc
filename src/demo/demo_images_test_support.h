// The image that the demonstration set's tests draw.
#pragma once

#include <cstddef>
#include <cstdint>

#include "image/image.h"

namespace vicha::demo {

/// A cut-out with soft, uneven edges: every step of drawing it matters.
inline Image pattern(int width, int height) {
  Image image(width, height, 4);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      std::uint8_t* p = image.row(y) + std::ptrdiff_t{4} * x;
      const bool inside = x >= 3 && x < width - 5 && y >= 2 && y < height - 4;
      p[0] = static_cast<std::uint8_t>(x * 7);
      p[1] = static_cast<std::uint8_t>(y * 11);
      p[2] = static_cast<std::uint8_t>(x * y);
      p[3] = static_cast<std::uint8_t>(inside ? 40 + x * 5 + y * 3 : 16);
    }
  }
  return image;
}

}  // namespace vicha::demo
