#include "image/augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/error.h"
#include "image/augment_ops.h"

namespace vicha {
namespace {

constexpr double kMaxLevel = 10.0;

/// Halves to the even neighbour, as Python's round.
int round_to_even(double x) { return static_cast<int>(std::nearbyint(x)); }

}  // namespace

double augment_argument(AugmentOp op, double level) {
  const double share = level / kMaxLevel;
  switch (op) {
    case AugmentOp::kIdentity:
    case AugmentOp::kAutoContrast:
    case AugmentOp::kEqualize:
      return 0.0;
    case AugmentOp::kBrightness:
    case AugmentOp::kSharpness:
      return share * 1.8 + 0.1;
    case AugmentOp::kShearX:
    case AugmentOp::kShearY:
      return share * 0.3;
    case AugmentOp::kTranslateX:
    case AugmentOp::kTranslateY:
      return share * 10.0;
    case AugmentOp::kRotate:
      return share * 30.0;
  }
  VICHA_ASSERT(false);
}

bool augment_is_signed(AugmentOp op) { return op >= AugmentOp::kShearX; }

bool augment_negates(AugmentOp op, double sign_draw) {
  return augment_is_signed(op) && (op == AugmentOp::kRotate ? sign_draw < 0.5 : sign_draw > 0.5);
}

std::optional<AffineMap> augment_motion(AugmentOp op, double argument, int width, int height) {
  switch (op) {
    case AugmentOp::kShearX:
      return AffineMap{{1, argument, 0, 0, 1, 0}};
    case AugmentOp::kShearY:
      return AffineMap{{1, 0, 0, argument, 1, 0}};
    case AugmentOp::kTranslateX:
      return AffineMap{{1, 0, -argument, 0, 1, 0}};
    case AugmentOp::kTranslateY:
      return AffineMap{{1, 0, 0, 0, 1, -argument}};
    case AugmentOp::kRotate: {
      const double radians = argument * std::numbers::pi / 180, c = std::cos(radians), s = std::sin(radians);
      const double x = width / 2.0, y = height / 2.0;
      return AffineMap{{c, s, (1 - c) * x - s * y, -s, c, s * x + (1 - c) * y}};
    }
    default:
      return std::nullopt;
  }
}

Image apply_augment_op(const Image& image, AugmentOp op, double argument, AutoContrast autocontrast) {
  VICHA_ASSERT(image.channels == 3);
  switch (op) {
    case AugmentOp::kIdentity:
      return image;
    case AugmentOp::kAutoContrast:
      return augment::auto_contrast(image, autocontrast == AutoContrast::kReleased);
    case AugmentOp::kEqualize:
      return augment::equalize(image);
    case AugmentOp::kBrightness:
      return augment::brightness(image, argument);
    case AugmentOp::kSharpness:
      return augment::sharpness(image, argument);
    case AugmentOp::kShearX:
    case AugmentOp::kShearY:
    case AugmentOp::kTranslateX:
    case AugmentOp::kTranslateY:
      return augment::warp(image, augment_motion(op, argument, image.width, image.height)->m);
    case AugmentOp::kRotate:
      return augment::rotate(image, argument);
  }
  VICHA_ASSERT(false);
}

std::vector<AugmentStep> draw_randaugment(const RandAugmentOptions& options, Rng& rng) {
  std::vector<AugmentStep> steps;
  if (!options.enabled) return steps;
  std::vector<AugmentOp> drawn;
  for (std::int64_t i = 0; i < options.operations; ++i)
    drawn.push_back(static_cast<AugmentOp>(rng.below(kAugmentOpCount)));
  for (const AugmentOp op : drawn) {
    if (!rng.chance(options.probability)) continue;
    double argument = augment_argument(op, options.magnitude);
    if (augment_is_signed(op) && augment_negates(op, rng.uniform())) argument = -argument;
    steps.push_back({op, argument});
  }
  return steps;
}

Image apply_augment_steps(Image image, const std::vector<AugmentStep>& steps, AutoContrast autocontrast) {
  for (const AugmentStep& step : steps) {
    if (step.op != AugmentOp::kIdentity) image = apply_augment_op(image, step.op, step.argument, autocontrast);
  }
  return image;
}

Box draw_crop(int width, int height, const CropOptions& options, Rng& rng) {
  VICHA_ASSERT(width > 0 && height > 0);
  const double area = static_cast<double>(width) * height;
  const double log_min = std::log(options.ratio_min), log_max = std::log(options.ratio_max);
  for (int i = 0; i < 10; ++i) {
    const double target = area * rng.uniform(options.scale_min, options.scale_max);
    const double ratio = std::exp(rng.uniform(log_min, log_max));
    const int w = round_to_even(std::sqrt(target * ratio)), h = round_to_even(std::sqrt(target / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const auto y = static_cast<int>(rng.below(static_cast<std::uint64_t>(height - h) + 1));
    const auto x = static_cast<int>(rng.below(static_cast<std::uint64_t>(width - w) + 1));
    return {x, y, w, h};
  }
  const double ratio = static_cast<double>(width) / height;
  int w = width, h = height;
  if (ratio < options.ratio_min) h = round_to_even(w / options.ratio_min);
  if (ratio > options.ratio_max) w = round_to_even(h * options.ratio_max);
  // An image of one row or column has no box of the ratio: keep what there is.
  w = std::clamp(w, 1, width);
  h = std::clamp(h, 1, height);
  return {(width - w) / 2, (height - h) / 2, w, h};
}

}  // namespace vicha
