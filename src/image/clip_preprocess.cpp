#include "image/clip_preprocess.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace vicha {
namespace {

Image resize_native(Filter filter, const NativeImage& image, int width, int height) {
  if (image.shrunk > 1) {
    return resize_part(filter, image.pixels, static_cast<double>(image.full_width) / image.shrunk,
                       static_cast<double>(image.full_height) / image.shrunk, width, height);
  }
  switch (image.mode) {
    case PixelMode::kBilevel:
    case PixelMode::kPalette:
      return resize_nearest(image.pixels, width, height);
    case PixelMode::kGrey16:
      return resize_grey16(filter, image.pixels, width, height);
    case PixelMode::kCmyk:
      return resize_plain(filter, image.pixels, width, height);
    default:
      return resize_by(filter, image.pixels, width, height);
  }
}

/// Python's round((size - side) / 2): halves go to the even neighbour.
int centre_offset(int size, int side) { return static_cast<int>(std::nearbyint((size - side) / 2.0)); }

struct Size {
  int width, height;
};

Size resized_size(const ClipView& view, std::int64_t w, std::int64_t h) {
  const int to = view.resized_to();
  switch (view.fit) {
    case ClipView::Fit::kSquash:
      return {to, to};
    case ClipView::Fit::kLongest: {
      const double ratio = std::max(static_cast<double>(h) / view.side, static_cast<double>(w) / view.side);
      const auto scaled = [&](std::int64_t size) {
        return std::max(1, static_cast<int>(std::nearbyint(static_cast<double>(size) / ratio)));
      };
      return {scaled(w), scaled(h)};
    }
    case ClipView::Fit::kShortest:
      break;
  }
  return {w <= h ? to : static_cast<int>(to * w / h), h <= w ? to : static_cast<int>(to * h / w)};
}

/// The image in the middle of a square of samples `fill`; halves of a pixel go to the right and below.
Image padded(const Image& image, PixelMode mode, int side, std::uint8_t fill) {
  if (image.width == side && image.height == side) return image;
  Image out(side, side, image.channels);
  std::ranges::fill(out.pixels, mode == PixelMode::kBilevel && fill != 0 ? std::uint8_t{255} : fill);
  if (mode == PixelMode::kGrey16) {
    for (std::size_t i = 1; i < out.pixels.size(); i += 2) out.pixels[i] = 0;  // the high bytes
  }
  const int left = (side - image.width) / 2, top = (side - image.height) / 2;
  const auto row_bytes = static_cast<std::size_t>(image.width) * image.channels;
  for (int y = 0; y < image.height; ++y) {
    std::copy_n(image.row(y), row_bytes, out.row(top + y) + static_cast<std::size_t>(left) * image.channels);
  }
  return out;
}

NativeImage as_rgb(NativeImage&& image) {
  NativeImage rgb;
  rgb.full_width = image.full_width;
  rgb.full_height = image.full_height;
  rgb.shrunk = image.shrunk;
  rgb.pixels = to_rgb(std::move(image));
  return rgb;
}

}  // namespace

std::string ClipView::describe() const {
  std::string text;
  if (filter == Filter::kBilinear) text += ", bilinear";
  if (fit == Fit::kSquash) text += ", squashed";
  if (fit == Fit::kLongest) text += fmt::format(", longest side, fill {}", fill);
  if (resized_to() != side) text += fmt::format(", resized to {}", resized_to());
  if (rgb_first) text += ", RGB first";
  if (mean != kClipMean) text += fmt::format(", mean {} {} {}", mean[0], mean[1], mean[2]);
  if (std != kClipStd) text += fmt::format(", std {} {} {}", std[0], std[1], std[2]);
  return text;
}

Image clip_crop(NativeImage&& given, const ClipView& view) {
  VICHA_ASSERT(view.side > 0 && view.resized_to() >= view.side && !given.pixels.empty());
  NativeImage image = view.rgb_first && given.mode != PixelMode::kRgb ? as_rgb(std::move(given)) : std::move(given);
  const Size size = resized_size(view, image.full_width > 0 ? image.full_width : image.pixels.width,
                                 image.full_height > 0 ? image.full_height : image.pixels.height);
  const Image resized = resize_native(view.filter, image, size.width, size.height);
  const int side = view.side;
  image.pixels = view.fit == ClipView::Fit::kLongest
                     ? padded(resized, image.mode, side, view.fill)
                     : crop(resized, {centre_offset(size.width, side), centre_offset(size.height, side), side, side});
  return to_rgb(std::move(image));
}

Image clip_crop(NativeImage&& image, int side) {
  ClipView view;
  view.side = side;
  return clip_crop(std::move(image), view);
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
