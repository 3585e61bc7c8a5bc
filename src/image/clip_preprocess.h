// OpenAI CLIP's preprocessing: the short side to `side` (bicubic), the centre cropped, RGB, normalised; and what other
// models of its kind do instead.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "image/native.h"
#include "image/normalize.h"
#include "image/resize.h"

namespace vicha {

/// How an image becomes the square that a CLIP reads: OpenAI's way, unless something is set. Geometry and rounding are
/// those of OpenAI's and open_clip's transforms.
struct ClipView {
  enum class Fit {
    kShortest,  ///< the short side becomes `resized`, the centre is cropped
    kSquash,    ///< both sides become `resized`, the centre is cropped
    kLongest    ///< the long side becomes `side`, the rest is filled
  };
  int side = 0;     ///< of the square, pixels
  int resized = 0;  ///< pixels; 0: `side`. Not smaller than `side`
  Fit fit = Fit::kShortest;
  Filter filter = Filter::kBicubic;
  std::uint8_t fill = 0;   ///< of kLongest: every sample of the border, in the file's own mode
  bool rgb_first = false;  ///< converted to RGB before it is resized, not after
  std::array<double, 3> mean = kClipMean, std = kClipStd;

  int resized_to() const { return resized > 0 ? resized : side; }
  /// What differs from OpenAI's way, for people and as an identity: ", bilinear, squashed, mean 0.5 0.5 0.5". Empty if
  /// nothing does.
  std::string describe() const;
};

/// side x side RGB. Resizes in the file's own mode and converts after the crop, as CLIP does: palette and 1-bit
/// images by the nearest neighbour, transparent ones premultiplied.
Image clip_crop(NativeImage&& image, const ClipView& view);
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
