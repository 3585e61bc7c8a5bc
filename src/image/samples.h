// Arithmetic on 8-bit samples that more than one file needs.
#pragma once

#include <cstdint>

namespace vicha {

/// a * b / 255 for a, b in 0..255, rounded, as Pillow does it.
inline std::uint8_t multiply_255(unsigned a, unsigned b) {
  const unsigned t = a * b + 128;
  return static_cast<std::uint8_t>(((t >> 8) + t) >> 8);
}

}  // namespace vicha
