// OpenAI CLIP's preprocessing: the short side to `side` (bicubic), the centre cropped, RGB, normalised.
#pragma once

#include <span>
#include <string_view>

#include "image/native.h"

namespace vicha {

/// side x side RGB. Resizes in the file's own mode and converts after the crop, as CLIP does: palette and 1-bit
/// images by the nearest neighbour, transparent ones premultiplied.
Image clip_crop(NativeImage&& image, int side);

/// An RGB image by CLIP's mean and deviation into `out` [3, height, width].
void clip_normalize(const Image& image, std::span<float> out);

/// How small `DecodeOptions::least_side` may let a JPEG become before it is shrunk to `side`: 1.75 times as large. Of
/// the prepared image's 8-bit values the mean difference to the exact ones then is below 1, and 99 % differ by less
/// than 6 (clip_preprocess_test.cpp); the cosine of the two embeddings is above 0.9999 (ViT-B/32 with random weights,
/// over the photographs of `vicha bench clip-image` 0.999999 at least, where that of different photographs reaches
/// 0.9986).
int clip_least_side(int side);

/// The whole of it from a file's bytes, into `out` [3, side, side]. Errors as decode_rgb. Equal to OpenAI's code bit
/// for bit unless `options.least_side` is set.
void clip_preprocess(std::span<const std::uint8_t> bytes, std::string_view name, int side, std::span<float> out,
                     const DecodeOptions& options = {});

}  // namespace vicha
