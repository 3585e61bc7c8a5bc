// Pillow's resampling: antialiased bicubic (a = -0.5), weights in fixed point (22 bits), horizontal pass first.
#pragma once

#include "image/image.h"

namespace vicha {

/// `image.resize((width, height), BICUBIC)`; with `box` the crop comes first (no pixel from outside of it is read).
/// RGBA is resized premultiplied, as Pillow does. Equal to Pillow bit for bit.
Image resize_bicubic(const Image& image, int width, int height);
Image crop(const Image& image, const Box& box);
Image crop_resize_bicubic(const Image& image, const Box& box, int width, int height);
Image flip_horizontal(const Image& image);

}  // namespace vicha
