#include "image/clip_preprocess.h"

#include <cmath>
#include <utility>

#include "base/error.h"
#include "image/normalize.h"
#include "image/resize.h"

namespace vicha {
namespace {

Image resize_native(const NativeImage& image, int width, int height) {
  if (image.shrunk > 1) {
    return resize_bicubic_part(image.pixels, static_cast<double>(image.full_width) / image.shrunk,
                               static_cast<double>(image.full_height) / image.shrunk, width, height);
  }
  switch (image.mode) {
    case PixelMode::kBilevel:
    case PixelMode::kPalette:
      return resize_nearest(image.pixels, width, height);
    case PixelMode::kGrey16:
      return resize_bicubic_grey16(image.pixels, width, height);
    case PixelMode::kCmyk:
      return resize_bicubic_plain(image.pixels, width, height);
    default:
      return resize_bicubic(image.pixels, width, height);
  }
}

/// Python's round((size - side) / 2): halves go to the even neighbour.
int centre_offset(int size, int side) { return static_cast<int>(std::nearbyint((size - side) / 2.0)); }

}  // namespace

Image clip_crop(NativeImage&& image, int side) {
  VICHA_ASSERT(side > 0 && !image.pixels.empty());
  const std::int64_t w = image.full_width > 0 ? image.full_width : image.pixels.width,
                     h = image.full_height > 0 ? image.full_height : image.pixels.height;
  const int width = w <= h ? side : static_cast<int>(side * w / h);
  const int height = h <= w ? side : static_cast<int>(side * h / w);
  Image resized = resize_native(image, width, height);
  image.pixels = crop(resized, {centre_offset(width, side), centre_offset(height, side), side, side});
  return to_rgb(std::move(image));
}

int clip_least_side(int side) { return side + 3 * side / 4; }

void clip_preprocess(std::span<const std::uint8_t> bytes, std::string_view name, int side, std::span<float> out,
                     const DecodeOptions& options) {
  clip_normalize(clip_crop(decode_native(bytes, name, options), side), out);
}

void clip_normalize(const Image& image, std::span<float> out) {
  static const Normalizer normalizer;
  normalizer.apply(image, out);
}

}  // namespace vicha
