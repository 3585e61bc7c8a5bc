// EXIF orientation: how a camera was held.
#pragma once

#include <cstdint>
#include <span>

#include "image/image.h"

namespace vicha {

/// The tag of a JPEG, PNG or WebP file: 1 upright, 3 upside down, 6 and 8 on its side, 2, 4, 5 and 7 mirrored as well.
/// 1 where there is none, or one that makes no sense.
int exif_orientation(std::span<const std::uint8_t> bytes);

/// The image as it is to be looked at; `orientation` from 1 to 8. Equal to Pillow's `exif_transpose`.
Image oriented(Image image, int orientation);

}  // namespace vicha
