#include "image/draw.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "image/resize.h"

namespace vicha {
namespace {

/// The part of `box` that lies inside of the image; may be empty.
Box clipped(const Image& image, const Box& box) {
  const int left = std::clamp(box.x, 0, image.width), top = std::clamp(box.y, 0, image.height);
  const int right = std::clamp(box.x + box.width, left, image.width);
  const int bottom = std::clamp(box.y + box.height, top, image.height);
  return {left, top, right - left, bottom - top};
}

void fill(Image& image, const Box& box, const Color& color) {
  const Box inside = clipped(image, box);
  for (int y = inside.y; y < inside.y + inside.height; ++y) {
    std::uint8_t* p = image.row(y) + 3 * inside.x;
    for (int x = 0; x < inside.width; ++x, p += 3) std::copy(color.begin(), color.end(), p);
  }
}

std::uint8_t mix(double from, double to, double share) {
  return static_cast<std::uint8_t>(std::lround(from + (to - from) * share));
}

/// Value at pixel `at` of `out` pixels over `in` samples: two neighbours and the second one's share.
struct Between {
  int low, high;
  double share;
};
Between between(int at, int out, int in) {
  const double position = std::clamp((at + 0.5) * in / out - 0.5, 0.0, static_cast<double>(in - 1));
  const int low = static_cast<int>(position);
  return {low, std::min(low + 1, in - 1), position - low};
}

}  // namespace

Color heat_color(double value) {
  static constexpr std::array<Color, 10> kStops = {{{68, 1, 84},
                                                    {72, 40, 120},
                                                    {62, 74, 137},
                                                    {49, 104, 142},
                                                    {38, 130, 142},
                                                    {31, 158, 137},
                                                    {53, 183, 121},
                                                    {109, 205, 89},
                                                    {180, 222, 44},
                                                    {253, 231, 37}}};
  const double at = std::isnan(value) ? 0.0 : std::clamp(value, 0.0, 1.0) * (kStops.size() - 1);
  const auto low = std::min(static_cast<std::size_t>(at), kStops.size() - 2);
  Color color;
  for (std::size_t c = 0; c < 3; ++c) color[c] = mix(kStops[low][c], kStops[low + 1][c], at - static_cast<double>(low));
  return color;
}

void paste(Image& ground, const Image& image, int x, int y) {
  VICHA_ASSERT(ground.channels == 3 && (image.channels == 3 || image.channels == 4));
  const Box inside = clipped(ground, {x, y, image.width, image.height});
  for (int row = inside.y; row < inside.y + inside.height; ++row) {
    std::uint8_t* to = ground.row(row) + 3 * inside.x;
    const std::uint8_t* from = image.row(row - y) + static_cast<std::size_t>(image.channels) * (inside.x - x);
    for (int i = 0; i < inside.width; ++i, to += 3, from += image.channels) {
      const unsigned alpha = image.channels == 4 ? from[3] : 255;
      for (int c = 0; c < 3; ++c) {
        const unsigned sum = to[c] * (255 - alpha) + from[c] * alpha + 128;
        to[c] = static_cast<std::uint8_t>(((sum >> 8) + sum) >> 8);
      }
    }
  }
}

Image contact_sheet(std::span<const Image> images, int columns, int cell, int gap, const Color& ground) {
  VICHA_ASSERT(!images.empty() && columns > 0 && cell > 0 && gap >= 0);
  const int count = static_cast<int>(images.size());
  columns = std::min(columns, count);
  const int rows = (count + columns - 1) / columns;
  Image sheet(gap + columns * (cell + gap), gap + rows * (cell + gap), 3);
  fill(sheet, {0, 0, sheet.width, sheet.height}, ground);
  for (int i = 0; i < count; ++i) {
    const Image& image = images[static_cast<std::size_t>(i)];
    const double scale = static_cast<double>(cell) / std::max(image.width, image.height);
    const int width = std::max(1, static_cast<int>(std::lround(image.width * scale)));
    const int height = std::max(1, static_cast<int>(std::lround(image.height * scale)));
    paste(sheet, resize_bicubic(image, width, height), gap + i % columns * (cell + gap) + (cell - width) / 2,
          gap + i / columns * (cell + gap) + (cell - height) / 2);
  }
  return sheet;
}

Image heat_overlay(const Image& image, std::span<const float> heat, int rows, int columns, double opacity) {
  VICHA_ASSERT(image.channels == 3 && rows > 0 && columns > 0);
  VICHA_ASSERT(heat.size() == static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
  double low = INFINITY, high = -INFINITY;
  for (const float v : heat) {
    if (!std::isfinite(v)) continue;
    low = std::min(low, static_cast<double>(v));
    high = std::max(high, static_cast<double>(v));
  }
  const auto value = [&](int row, int column) {
    const double v = heat[static_cast<std::size_t>(row) * columns + column];
    return std::isfinite(v) && high > low ? (v - low) / (high - low) : 0.0;
  };
  opacity = std::clamp(opacity, 0.0, 1.0);
  Image out = image;
  for (int y = 0; y < out.height; ++y) {
    const Between v = between(y, out.height, rows);
    for (int x = 0; x < out.width; ++x) {
      const Between h = between(x, out.width, columns);
      const double top = std::lerp(value(v.low, h.low), value(v.low, h.high), h.share);
      const double bottom = std::lerp(value(v.high, h.low), value(v.high, h.high), h.share);
      const Color color = heat_color(std::lerp(top, bottom, v.share));
      std::uint8_t* p = out.row(y) + 3 * x;
      for (std::size_t c = 0; c < 3; ++c) p[c] = mix(p[c], color[c], opacity);
    }
  }
  return out;
}

void draw_rectangle(Image& image, const Box& box, const Color& color, int thickness) {
  VICHA_ASSERT(image.channels == 3);
  const int t = std::clamp(thickness, 0, std::min(box.width, box.height));
  fill(image, {box.x, box.y, box.width, t}, color);
  fill(image, {box.x, box.y + box.height - t, box.width, t}, color);
  fill(image, {box.x, box.y, t, box.height}, color);
  fill(image, {box.x + box.width - t, box.y, t, box.height}, color);
}

void cover_patches(Image& image, std::span<const std::uint8_t> hidden, int rows, int columns, const Color& color) {
  VICHA_ASSERT(image.channels == 3 && rows > 0 && columns > 0);
  VICHA_ASSERT(hidden.size() == static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
  const int width = image.width / columns, height = image.height / rows;
  for (int i = 0; i < rows * columns; ++i) {
    if (hidden[static_cast<std::size_t>(i)] == 0) continue;
    fill(image, {i % columns * width, i / columns * height, width, height}, color);
  }
}

}  // namespace vicha
