// The image side of the demonstration set: cut-outs (RGBA) put on a pastel ground. Same pixels as Pillow's.
#pragma once

#include <array>
#include <string_view>

#include "image/draw.h"
#include "image/image.h"

namespace vicha::demo {

/// The grounds that drawings are put on.
inline constexpr std::array<Color, 8> kPastels = {{{255, 255, 255},
                                                   {246, 240, 230},
                                                   {232, 240, 246},
                                                   {240, 246, 232},
                                                   {250, 234, 238},
                                                   {238, 236, 248},
                                                   {226, 226, 226},
                                                   {252, 248, 220}}};

/// `image` (RGBA) cropped to the box of all pixels whose alpha is above 16; as it is where there are none.
Image trim(const Image& image);

/// Scaled so that the longer side has `side` pixels (bicubic); sides are rounded half to even, never below 1.
Image fit(const Image& image, int side);

/// Pillow's `thumbnail((side, side))` without its reducing step: like `fit`, but never larger than it is, and the
/// shorter side is rounded to what keeps the aspect best.
Image thumbnail(const Image& image, int side);

/// How many different colours the pixels with an alpha above 200 have.
int count_colours(const Image& image);

/// `image` (RGBA) trimmed, brought through a bottleneck of `low` pixels (so that no artist is told by sharpness),
/// scaled to 84 % of `side` and put in the middle of a side x side RGB image whose ground is drawn from `name`.
Image flatten(const Image& image, int side, int low, std::string_view name);

}  // namespace vicha::demo
