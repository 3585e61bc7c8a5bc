#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "image/resample.h"
#include "image/samples.h"

namespace vicha {
namespace {

using resample::View;
using resample::Weights;

View view_of(const Image& image) {
  return {image.pixels.data(), static_cast<std::size_t>(image.width) * image.channels, image.width, image.height,
          image.channels};
}

View view_of(const Image& image, const Box& box) {
  VICHA_ASSERT(box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0 && box.width <= image.width - box.x &&
               box.height <= image.height - box.y);
  View view = view_of(image);
  view.data += view.stride * box.y + static_cast<std::size_t>(box.x) * image.channels;
  view.width = box.width;
  view.height = box.height;
  return view;
}

Image copy(const View& view) {
  Image out(view.width, view.height, view.channels);
  const std::size_t bytes = static_cast<std::size_t>(view.width) * view.channels;
  for (int y = 0; y < view.height; ++y) std::memcpy(out.row(y), view.row(y), bytes);
  return out;
}

/// Pillow's `RGBA -> RGBa` (and `LA -> La`).
Image premultiplied(const View& view) {
  Image out = copy(view);
  const int colors = view.channels - 1;
  for (auto* p = out.pixels.data(); p != out.pixels.data() + out.pixels.size(); p += view.channels) {
    for (int c = 0; c < colors; ++c) p[c] = multiply_255(p[c], p[colors]);
  }
  return out;
}

void undo_premultiply(Image& image) {
  const int colors = image.channels - 1;
  for (auto* p = image.pixels.data(); p != image.pixels.data() + image.pixels.size(); p += image.channels) {
    const unsigned alpha = p[colors];
    if (alpha == 0 || alpha == 255) continue;
    for (int c = 0; c < colors; ++c) p[c] = static_cast<std::uint8_t>(std::min(255u * p[c] / alpha, 255u));
  }
}

Image across(Filter filter, const View& in, int width, double columns = 0) {
  Image out(width, in.height, in.channels);
  resample::horizontal(in, resample::filter_weights(filter, in.width, width, columns), out.pixels.data());
  return out;
}

Image down(Filter filter, const View& in, int height, double rows = 0) {
  Image out(in.width, height, in.channels);
  resample::vertical(in, resample::filter_weights(filter, in.height, height, rows), out.pixels.data());
  return out;
}

/// Pillow's order since version 13: each pass rounds, so the order shows.
bool vertical_first(int in_width, int in_height, int width, int height) {
  return in_height > height && in_height - height > 2 * (in_width - width);
}

Image resize_channels(Filter filter, const View& in, int width, int height) {
  if (width == in.width && height == in.height) return copy(in);
  if (height == in.height) return across(filter, in, width);
  if (width == in.width) return down(filter, in, height);
  if (vertical_first(in.width, in.height, width, height)) {
    return across(filter, view_of(down(filter, in, height)), width);
  }
  return down(filter, view_of(across(filter, in, width)), height);
}

Image resize(Filter filter, const View& in, int width, int height) {
  VICHA_ASSERT(width > 0 && height > 0 && in.width > 0 && in.height > 0);
  if (width == in.width && height == in.height) return copy(in);
  if (in.channels != 2 && in.channels != 4) return resize_channels(filter, in, width, height);
  const Image weighted = premultiplied(in);
  Image out = resize_channels(filter, view_of(weighted), width, height);
  undo_premultiply(out);
  return out;
}

}  // namespace

Image crop(const Image& image, const Box& box) { return copy(view_of(image, box)); }

Image resize_by(Filter filter, const Image& image, int width, int height) {
  return resize(filter, view_of(image), width, height);
}

Image resize_bicubic(const Image& image, int width, int height) {
  return resize_by(Filter::kBicubic, image, width, height);
}

Image resize_part(Filter filter, const Image& image, double columns, double rows, int width, int height) {
  VICHA_ASSERT(columns > image.width - 1 && columns <= image.width && rows > image.height - 1 && rows <= image.height);
  VICHA_ASSERT(image.channels != 2);
  if (columns == image.width && rows == image.height) return resize_plain(filter, image, width, height);
  if (vertical_first(image.width, image.height, width, height)) {
    return across(filter, view_of(down(filter, view_of(image), height, rows)), width, columns);
  }
  return down(filter, view_of(across(filter, view_of(image), width, columns)), height, rows);
}

Image crop_resize_bicubic(const Image& image, const Box& box, int width, int height) {
  return resize(Filter::kBicubic, view_of(image, box), width, height);
}

Image resize_plain(Filter filter, const Image& image, int width, int height) {
  return resize_channels(filter, view_of(image), width, height);
}

Image resize_grey16(Filter filter, const Image& image, int width, int height) {
  VICHA_ASSERT(image.channels == 2);
  // Pillow works in double precision here; the low byte of a negative sum is clipped for itself.
  const auto pass = [](const Image& in, const Weights& weights, bool along_rows) {
    Image out(along_rows ? weights.out : in.width, along_rows ? in.height : weights.out, 2);
    for (int y = 0; y < out.height; ++y) {
      for (int x = 0; x < out.width; ++x) {
        const int i = along_rows ? x : y;
        const double* weight = weights.exact.data() + static_cast<std::size_t>(i) * weights.taps;
        double sum = 0.0;
        for (int t = 0; t < weights.count[i]; ++t) {
          const int at = weights.first[i] + t;
          const std::uint8_t* p = along_rows ? in.row(y) + 2 * at : in.row(at) + 2 * x;
          sum += (p[0] + (p[1] << 8)) * weight[t];
        }
        const int whole = static_cast<int>(sum >= 0.0 ? std::floor(sum + 0.5) : -std::floor(std::fabs(sum) + 0.5));
        out.row(y)[2 * x] = static_cast<std::uint8_t>(std::clamp(whole % 256, 0, 255));
        out.row(y)[2 * x + 1] = static_cast<std::uint8_t>(std::clamp(whole >> 8, 0, 255));
      }
    }
    return out;
  };
  const auto rows = [&](const Image& in) {
    return width == in.width ? in : pass(in, resample::filter_weights(filter, in.width, width), true);
  };
  const auto columns = [&](const Image& in) {
    return height == in.height ? in : pass(in, resample::filter_weights(filter, in.height, height), false);
  };
  return vertical_first(image.width, image.height, width, height) ? rows(columns(image)) : columns(rows(image));
}

Image resize_nearest(const Image& image, int width, int height) {
  // The source coordinate is summed up step by step, as Pillow does: its rounding decides at the borders.
  const auto sources = [](int in, int out) {
    std::vector<int> sources(out);
    const double step = static_cast<double>(in) / out;
    double at = step * 0.5;
    for (int& source : sources) {
      source = std::min(static_cast<int>(at), in - 1);
      at += step;
    }
    return sources;
  };
  const std::vector<int> columns = sources(image.width, width), rows = sources(image.height, height);
  Image out(width, height, image.channels);
  for (int y = 0; y < height; ++y) {
    std::uint8_t* to = out.row(y);
    for (int x = 0; x < width; ++x, to += image.channels) {
      std::copy_n(image.row(rows[y]) + static_cast<std::size_t>(columns[x]) * image.channels, image.channels, to);
    }
  }
  return out;
}

Image flip_horizontal(const Image& image) {
  Image out(image.width, image.height, image.channels);
  const auto flip = [&]<int Channels>() {
    for (int y = 0; y < image.height; ++y) {
      const std::uint8_t* from = image.row(y) + static_cast<std::size_t>(image.width) * Channels;
      std::uint8_t* to = out.row(y);
      for (int x = 0; x < image.width; ++x, to += Channels) std::memcpy(to, from -= Channels, Channels);
    }
  };
  switch (image.channels) {
    case 1:
      flip.template operator()<1>();
      break;
    case 2:
      flip.template operator()<2>();
      break;
    case 3:
      flip.template operator()<3>();
      break;
    default:
      VICHA_ASSERT(image.channels == 4);
      flip.template operator()<4>();
  }
  return out;
}

}  // namespace vicha
