// Random crops and RandAugment (method.md, section 1). What is drawn is apart from what is done, so that recorded draws
// can be replayed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "config/describe.h"
#include "image/image.h"
#include "image/seen_part.h"

namespace vicha {

enum class AugmentOp {
  kIdentity,
  kAutoContrast,
  kEqualize,
  kBrightness,
  kSharpness,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kRotate,
};
inline constexpr int kAugmentOpCount = 10;

/// What `level` (0 to 10) means to the operation: a factor (brightness, sharpness, shear), pixels (translation) or
/// degrees (rotation), without sign; 0 where there is nothing to choose.
double augment_argument(AugmentOp op, double level);
/// Shears, translations and the rotation go either way.
bool augment_is_signed(AugmentOp op);
/// Whether a sign draw in [0, 1) negates the argument: over one half, but for the rotation under it.
bool augment_negates(AugmentOp op, double sign_draw);

/// The public code's auto-contrast makes a channel white whose minimum is above 0; kExact is what it was meant to be.
enum class AutoContrast { kExact, kReleased };

/// Where an operation moves what stands in pixel (x, y) of a width x height image (whole numbers are centres of
/// pixels); nothing where it moves nothing.
std::optional<AffineMap> augment_motion(AugmentOp op, double argument, int width, int height);

/// One operation on an RGB image. Geometric ones are bilinear and fill with grey 128; shears keep (0, 0) where it is,
/// the rotation is about (width / 2, height / 2), a positive translation moves the content to the left or up.
Image apply_augment_op(const Image& image, AugmentOp op, double argument,
                       AutoContrast autocontrast = AutoContrast::kExact);

struct RandAugmentOptions {
  bool enabled = true;
  std::int64_t operations = 2;
  double magnitude = 7.0;
  double probability = 0.5;
  AutoContrast autocontrast = AutoContrast::kExact;

  void describe(Visitor& v) {
    v.field({"enabled", "", "Whether training pictures pass RandAugment"}, enabled);
    v.field({"operations", "", "Operations drawn for each picture, with replacement", 0, 16}, operations);
    v.field({"magnitude", "tenths", "Strength of the operations", 0, 10}, magnitude);
    v.field({"probability", "", "Probability with which a drawn operation is applied", 0, 1}, probability);
    v.choice(
        {"autocontrast", "", "exact, or as in the public code, which makes channels white whose minimum is above 0"},
        autocontrast, {{"exact", AutoContrast::kExact}, {"released", AutoContrast::kReleased}});
  }
};

struct AugmentStep {
  AugmentOp op;
  double argument;
};

/// Draws the operations, then, for each in turn, whether it is applied and its sign: the public code's order. Gives
/// those to be applied.
std::vector<AugmentStep> draw_randaugment(const RandAugmentOptions& options, Rng& rng);
Image apply_augment_steps(Image image, const std::vector<AugmentStep>& steps,
                          AutoContrast autocontrast = AutoContrast::kExact);

struct CropOptions {
  double scale_min = 0.2, scale_max = 1.0;
  double ratio_min = 3.0 / 4.0, ratio_max = 4.0 / 3.0;
};

/// torchvision's RandomResizedCrop: ten tries of an area (uniform) and an aspect ratio (log-uniform), then the largest
/// centred box of an allowed ratio. The box lies inside of width x height.
Box draw_crop(int width, int height, const CropOptions& options, Rng& rng);

}  // namespace vicha
