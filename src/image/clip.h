// OpenAI CLIP's preprocessing: the short side to `side` (bicubic), the centre cropped, RGB, normalised.
#pragma once

#include <span>
#include <string_view>

#include "image/native.h"

namespace vicha {

/// side x side RGB. Resizes in the file's own mode and converts after the crop, as CLIP does: palette and 1-bit
/// pictures by the nearest neighbour, transparent ones premultiplied.
Image clip_crop(NativeImage&& image, int side);

/// The same from a file's bytes, normalised into `out` [3, side, side]. Errors as decode_rgb.
void clip_preprocess(std::span<const std::uint8_t> bytes, std::string_view name, int side, std::span<float> out,
                     const DecodeOptions& options = {});

}  // namespace vicha
