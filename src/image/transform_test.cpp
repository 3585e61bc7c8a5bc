#include "image/transform.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "config/serialize.h"
#include "image/resize.h"
#include "image/testing.h"

namespace vicha {
namespace {

ImageTransformOptions small_options() {
  ImageTransformOptions options;
  options.image_res = 24;
  return options;
}

TEST(Transform, EvaluationIsResizedAndNormalised) {
  const ImageTransform transform(small_options());
  const Image image = noise(31, 47, 3);
  std::vector<float> out(transform.size());
  transform.evaluate(image, out);
  const Image resized = resize_bicubic(image, 24, 24);
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < 24 * 24; ++i) {
      const double expected = (resized.pixels[3 * i + c] / 255.0 - kClipMean[c]) / kClipStd[c];
      ASSERT_NEAR(out[c * 24 * 24 + i], expected, 1e-5);
    }
  }
  EXPECT_EQ(transform.normalizer().undo(out, 24, 24).pixels, resized.pixels);
}

TEST(Transform, TrainingDependsOnTheGeneratorAlone) {
  const ImageTransform transform(small_options());
  const Image image = noise(60, 50, 3);
  std::vector<float> first(transform.size()), second(transform.size());
  int differing = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Rng a(seed), b(seed), other(seed + 1000);
    transform.train(image, a, first);
    transform.train(image, b, second);
    ASSERT_EQ(first, second);
    EXPECT_EQ(a(), b());
    transform.train(image, other, second);
    differing += first != second;
  }
  EXPECT_EQ(differing, 20);
}

TEST(Transform, StepsCanBeSwitchedOff) {
  ImageTransformOptions options = small_options();
  options.crop = false;
  options.flip_probability = 0;
  options.augment.enabled = false;
  const Image image = noise(60, 50, 3);
  Rng rng(1);
  EXPECT_EQ(ImageTransform(options).train_image(image, rng).pixels, resize_bicubic(image, 24, 24).pixels);
  options.flip_probability = 1;
  EXPECT_EQ(ImageTransform(options).train_image(image, rng).pixels,
            flip_horizontal(resize_bicubic(image, 24, 24)).pixels);
}

TEST(Transform, OptionsComeFromRecipes) {
  ImageTransformOptions options;
  apply_toml(options, "image_res = 48\ncrop_scale_min = 0.5\n[augment]\nautocontrast = \"released\"\n", "test.toml");
  EXPECT_EQ(options.image_res, 48);
  EXPECT_EQ(options.augment.autocontrast, AutoContrast::kReleased);
  EXPECT_EQ(ImageTransform(options).size(), 3u * 48 * 48);
  EXPECT_THROW(apply_override(options, "augment.autocontrast=other"), UsageError);
  EXPECT_THROW(apply_override(options, "image_res=0"), UsageError);
}

TEST(Transform, ContradictionsAreRefused) {
  ImageTransformOptions options = small_options();
  options.crop_scale_min = 0.9;
  options.crop_scale_max = 0.5;
  EXPECT_THROW(ImageTransform{options}, UsageError);
  options = small_options();
  options.std = {1.0, 0.0, 1.0};
  EXPECT_THROW(ImageTransform{options}, UsageError);
  options = small_options();
  options.mean = {0.5};
  EXPECT_THROW(ImageTransform{options}, UsageError);
}

}  // namespace
}  // namespace vicha
