// RandAugment's operations on RGB images, with the public code's arithmetic; augment.h is what callers want.
#pragma once

#include <array>

#include "image/image.h"

namespace vicha::augment {

/// PIL.ImageOps.autocontrast without cut-off; `released` with the public code's overflow.
Image auto_contrast(const Image& image, bool released);
/// PIL.ImageOps.equalize.
Image equalize(const Image& image);
/// Samples times `factor`, cut off at 255, truncated.
Image brightness(const Image& image, double factor);
/// Away from (factor > 1) or towards the image smoothed by 3 x 3 (centre weight 5, the others 1); the border stays.
/// Results are truncated and taken modulo 256: overshoots come in again at the other end, as in the public code.
Image sharpness(const Image& image, double factor);
/// cv::warpAffine with the forward map {a, b, c; d, e, f} in single precision, bilinear, outside 128.
Image warp(const Image& image, const std::array<double, 6>& forward);
/// Counter-clockwise about (width / 2, height / 2).
Image rotate(const Image& image, double degrees);

}  // namespace vicha::augment
