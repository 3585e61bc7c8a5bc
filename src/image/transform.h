// From a decoded image to the model's input (method.md, section 1).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "config/describe.h"
#include "image/augment.h"
#include "image/image.h"
#include "image/normalize.h"
#include "image/seen_part.h"

namespace vicha {

struct ImageTransformOptions {
  std::int64_t image_res = 256;
  bool crop = true;
  double crop_scale_min = 0.2, crop_scale_max = 1.0;
  double crop_ratio_min = 0.75, crop_ratio_max = 4.0 / 3.0;
  double flip_probability = 0.5;
  RandAugmentOptions augment;
  std::vector<double> mean{kClipMean.begin(), kClipMean.end()};
  std::vector<double> std{kClipStd.begin(), kClipStd.end()};

  void describe(Visitor& v) {
    v.field({"image_res", "pixels", "Side of the square pictures that the model sees", 1, 4096}, image_res);
    v.field({"crop", "", "Whether training crops at random; otherwise the whole picture is resized"}, crop);
    v.field({"crop_scale_min", "", "Smallest share of the picture's area that a crop takes", 1e-6, 1}, crop_scale_min);
    v.field({"crop_scale_max", "", "Largest share of the picture's area that a crop takes", 1e-6, 1}, crop_scale_max);
    v.field({"crop_ratio_min", "", "Smallest width / height of a crop", 0.01, 100}, crop_ratio_min);
    v.field({"crop_ratio_max", "", "Largest width / height of a crop", 0.01, 100}, crop_ratio_max);
    v.field({"flip_probability", "", "Probability that training mirrors a picture left to right", 0, 1},
            flip_probability);
    v.section("augment", "RandAugment of training pictures", augment);
    v.field({"mean", "", "Mean of the samples (0 to 1) of red, green and blue, subtracted"}, mean);
    v.field({"std", "", "Standard deviation of the samples of red, green and blue, divided by"}, std);
  }
};

/// Immutable; shared by the loader's threads.
class ImageTransform {
 public:
  /// Throws UsageError where options contradict each other.
  explicit ImageTransform(const ImageTransformOptions& options);

  /// Floats in one image: 3 x image_res x image_res.
  std::size_t size() const { return 3 * static_cast<std::size_t>(side_) * static_cast<std::size_t>(side_); }

  /// Random crop, resize, flip and RandAugment, then normalised into `out` [3, R, R], which has size() floats. All
  /// choices come from `rng`, in that order; how many numbers are drawn depends on them. `seen`, unless null: what of
  /// the picture that is.
  void train(const Image& rgb, Rng& rng, std::span<float> out, SeenPart* seen = nullptr) const;
  /// Resized to R x R, aspect ignored, and normalised.
  void evaluate(const Image& rgb, std::span<float> out) const;

  /// The same before normalisation.
  Image train_image(const Image& rgb, Rng& rng, SeenPart* seen = nullptr) const;
  Image evaluate_image(const Image& rgb) const;
  const Normalizer& normalizer() const { return normalizer_; }

 private:
  ImageTransformOptions options_;
  int side_;
  CropOptions crop_;
  AutoContrast autocontrast_;
  Normalizer normalizer_;
};

}  // namespace vicha
