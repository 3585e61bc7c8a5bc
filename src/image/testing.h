// What the tests of this room share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/sha256.h"
#include "image/image.h"

namespace vicha {

inline std::filesystem::path golden(std::string_view path) {
  return std::filesystem::path(VICHA_SOURCE_DIR) / "tests/golden/library" / path;
}

inline std::span<const std::uint8_t> bytes_of(const std::string& content) {
  return {reinterpret_cast<const std::uint8_t*>(content.data()), content.size()};
}

inline std::string pixels_hash(const Image& image) {
  return sha256_hex({reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()});
}

inline Image noise(int width, int height, int channels, std::uint64_t seed = 1) {
  Image image(width, height, channels);
  Rng rng(seed);
  for (std::uint8_t& v : image.pixels) v = static_cast<std::uint8_t>(rng.below(256));
  return image;
}

/// Smooth, so that lossy formats keep it.
inline Image gradient(int width, int height, int channels) {
  Image image(width, height, channels);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int values[] = {255 * x / width, 255 * y / height, 128, 255 - 100 * x / width};
      for (int c = 0; c < channels; ++c) {
        image.row(y)[x * channels + c] = static_cast<std::uint8_t>(values[channels == 2 && c == 1 ? 3 : c]);
      }
    }
  }
  return image;
}

/// A minimal BMP of 24 bits and a PPM of the same RGB image.
inline std::string make_bmp(const Image& image) {
  const auto u16 = [](std::uint32_t v) { return std::string{static_cast<char>(v), static_cast<char>(v >> 8)}; };
  const auto u32 = [&](std::uint32_t v) { return u16(v) + u16(v >> 16); };
  const std::size_t stride = (static_cast<std::size_t>(image.width) * 3 + 3) / 4 * 4;
  std::string file = "BM" + u32(0) + u32(0) + u32(54) + u32(40) + u32(static_cast<std::uint32_t>(image.width)) +
                     u32(static_cast<std::uint32_t>(image.height)) + u16(1) + u16(24) + std::string(24, '\0');
  for (int y = image.height - 1; y >= 0; --y) {
    std::string row(stride, '\0');
    for (int x = 0; x < image.width; ++x) {
      for (int c = 0; c < 3; ++c)
        row[static_cast<std::size_t>(3 * x + c)] = static_cast<char>(image.row(y)[3 * x + 2 - c]);
    }
    file += row;
  }
  return file;
}

inline std::string make_ppm(const Image& image) {
  return "P6\n# comment\n" + std::to_string(image.width) + " " + std::to_string(image.height) + "\n255\n" +
         std::string(image.pixels.begin(), image.pixels.end());
}

}  // namespace vicha
