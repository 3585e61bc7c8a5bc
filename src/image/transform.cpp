#include "image/transform.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "image/resize.h"

namespace vicha {

ImageTransform::ImageTransform(const ImageTransformOptions& options)
    : options_(options),
      side_(static_cast<int>(options.image_res)),
      crop_{options.crop_scale_min, options.crop_scale_max, options.crop_ratio_min, options.crop_ratio_max},
      autocontrast_(options.augment.autocontrast),
      normalizer_(options.mean, options.std) {
  const auto check_order = [](std::string_view what, double low, double high) {
    if (!(low > 0) || !(low <= high)) {
      throw UsageError(fmt::format(
          "{0}_min is {1} and {0}_max is {2}; the first must be above 0 and not above the second", what, low, high));
    }
  };
  if (options.image_res < 1 || options.image_res > 4096) {
    throw UsageError(fmt::format("image_res is {}; it goes from 1 to 4096", options.image_res));
  }
  check_order("crop_scale", crop_.scale_min, crop_.scale_max);
  check_order("crop_ratio", crop_.ratio_min, crop_.ratio_max);
}

namespace {

/// What of a picture is seen that was cut, mirrored and then warped by the steps, side x side pixels large.
SeenPart seen_part(const Image& rgb, const Box& box, bool mirrored, const std::vector<AugmentStep>& steps, int side) {
  const auto width = static_cast<double>(rgb.width), height = static_cast<double>(rgb.height);
  SeenPart seen{{box.width / width, 0, box.x / width, 0, box.height / height, box.y / height}};
  if (mirrored) seen = seen.after({{-1, 0, 1, 0, 1, 0}});
  // Pixels are counted from the centre of the first.
  const auto pixels = static_cast<double>(side);
  const AffineMap to_pixels{{pixels, 0, -0.5, 0, pixels, -0.5}};
  for (const AugmentStep& step : steps) {
    const auto motion = augment_motion(step.op, step.argument, side, side);
    if (motion) seen = seen.after(to_pixels.inverse().after(motion->inverse().after(to_pixels)));
  }
  return seen;
}

}  // namespace

Image ImageTransform::train_image(const Image& rgb, Rng& rng, SeenPart* seen) const {
  VICHA_ASSERT(rgb.channels == 3);
  const Box box = options_.crop ? draw_crop(rgb.width, rgb.height, crop_, rng) : Box{0, 0, rgb.width, rgb.height};
  Image image = crop_resize_bicubic(rgb, box, side_, side_);
  const bool mirrored = rng.chance(options_.flip_probability);
  if (mirrored) image = flip_horizontal(image);
  const std::vector<AugmentStep> steps = draw_randaugment(options_.augment, rng);
  if (seen != nullptr) *seen = seen_part(rgb, box, mirrored, steps, side_);
  return apply_augment_steps(std::move(image), steps, autocontrast_);
}

Image ImageTransform::evaluate_image(const Image& rgb) const {
  VICHA_ASSERT(rgb.channels == 3);
  return resize_bicubic(rgb, side_, side_);
}

void ImageTransform::train(const Image& rgb, Rng& rng, std::span<float> out, SeenPart* seen) const {
  normalizer_.apply(train_image(rgb, rng, seen), out);
}

void ImageTransform::evaluate(const Image& rgb, std::span<float> out) const {
  normalizer_.apply(evaluate_image(rgb), out);
}

}  // namespace vicha
