// Images in memory, as Pillow holds them: rows of interleaved 8-bit samples.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace vicha {

/// H x W x C, uint8, row-major, no padding. C: 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA (alpha not premultiplied).
struct Image {
  int width = 0, height = 0, channels = 0;
  std::vector<std::uint8_t> pixels;

  Image() = default;
  Image(int width, int height, int channels)
      : width(width), height(height), channels(channels), pixels(static_cast<std::size_t>(width) * height * channels) {}
  std::uint8_t* row(int y) { return pixels.data() + static_cast<std::size_t>(y) * width * channels; }
  const std::uint8_t* row(int y) const { return pixels.data() + static_cast<std::size_t>(y) * width * channels; }
  bool empty() const { return pixels.empty(); }
};

/// An integer box, corners (x, y) and (x + width, y + height).
struct Box {
  int x = 0, y = 0, width = 0, height = 0;
};

}  // namespace vicha
