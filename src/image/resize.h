// Pillow's resampling: antialiased bicubic (a = -0.5), bilinear or Lanczos (a = 3), weights in fixed point (22 bits),
// horizontal pass first, except where the height shrinks by more than twice as many pixels as the width does (Pillow
// 13).
#pragma once

#include "image/image.h"

namespace vicha {

enum class Filter { kBicubic, kBilinear, kLanczos };

/// `image.resize((width, height), filter)`; grey + alpha and RGBA premultiplied. Equal to Pillow bit for bit. One
/// thread.
Image resize_by(Filter filter, const Image& image, int width, int height);
/// `image.resize((width, height), BICUBIC)`; with `box` the crop comes first (no pixel from outside of it is read).
/// Grey + alpha and RGBA are resized premultiplied, as Pillow does. Equal to Pillow bit for bit. One thread.
Image resize_bicubic(const Image& image, int width, int height);
/// The same of the image's first `columns` x `rows` pixels, which need not be whole: `resize(…, box=(0, 0, columns,
/// rows))` of Pillow, for 1 or 3 channels.
Image resize_part(Filter filter, const Image& image, double columns, double rows, int width, int height);
Image crop(const Image& image, const Box& box);
Image crop_resize_bicubic(const Image& image, const Box& box, int width, int height);
Image flip_horizontal(const Image& image);

/// Every channel for itself, also the last of 2 and 4: Pillow's treatment of CMYK.
Image resize_plain(Filter filter, const Image& image, int width, int height);
/// Grey of 16 bits: 2 bytes a pixel, low byte first (PixelMode::kGrey16).
Image resize_grey16(Filter filter, const Image& image, int width, int height);
/// `resize((width, height), NEAREST)`.
Image resize_nearest(const Image& image, int width, int height);

}  // namespace vicha
