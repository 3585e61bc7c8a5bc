#include "report/mae_images.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/manifest/data_test_support.h"
#include "image/draw.h"
#include "image/transform.h"
#include "objectives/mae.h"
#include "tasks/pretrain/pretrain_recipe.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;
using testing_data::noise_png;
using testing_data::TemporaryFolder;

constexpr int kSide = 24, kPatch = 6, kPatches = 16, kHidden = 12;

class MaeExamplesTest : public testing::TestWithParam<const char*> {
 protected:
  LoadedModel tiny_model(const char* variant) {
    PretrainRecipe recipe;
    recipe.model.vit = {.image_res = kSide, .patch = kPatch, .width = 16, .depth = 2, .heads = 2};
    recipe.model.text = {.vocabulary = 200,
                         .max_positions = 64,
                         .width = 16,
                         .heads = 2,
                         .inner = 32,
                         .text_layers = 1,
                         .fusion_layers = 1};
    recipe.model.concepts.enabled = recipe.data.concepts.enabled = false;
    recipe.objectives.get<MaeOptions>().decoder = {.width = 16, .heads = 2, .depth = 1};
    recipe.model.embed_dim = 8;
    recipe.model.queue_size = 16;
    recipe.objectives.at("hitc").enabled = false;
    recipe.objectives.get<MaeOptions>().variant = *value_named(kMaeVariantNames, variant);
    recipe.finish();
    return {recipe, find_task_kind("pretrain")->make_model(recipe, 5), testing_data::small_tokenizer()};
  }

  fs::path manifest(int images) {
    std::string records;
    for (int i = 0; i < images; ++i) {
      const std::string name = "p" + std::to_string(i) + ".png";
      folder_.write(name, noise_png(static_cast<std::uint64_t>(i)));
      records += (i > 0 ? "," : "") + ("{\"image\": \"" + name + "\", \"caption\": [\"a red cat\", \"dog\"]}");
    }
    return folder_.write("set.json", "[" + records + "]");
  }

  TemporaryFolder folder_;
};

bool same_patch(const Image& a, const Image& b, int patch) {
  const int left = patch % (kSide / kPatch) * kPatch * 3, top = patch / (kSide / kPatch) * kPatch;
  for (int y = top; y < top + kPatch; ++y) {
    if (!std::equal(a.row(y) + left, a.row(y) + left + kPatch * 3, b.row(y) + left)) return false;
  }
  return true;
}

TEST_P(MaeExamplesTest, KeepVisiblePatchesAndCoverTheOthers) {
  LoadedModel loaded = tiny_model(GetParam());
  const MaeExamples made = mae_examples(loaded, manifest(9), 4);
  EXPECT_EQ(made.left_out, "");
  ASSERT_EQ(made.examples.size(), 4u);
  EXPECT_EQ(fs::path(made.examples[0].path).filename(), "p1.png");  // spread over the set
  EXPECT_EQ(fs::path(made.examples[3].path).filename(), "p7.png");
  const ImageTransform transform(loaded.recipe->data.transform);
  for (const MaeExample& example : made.examples) {
    EXPECT_EQ(example.image.pixels, transform.evaluate_image(load_rgb(example.path)).pixels);
    Image grey(kSide, kSide, 3);
    std::fill(grey.pixels.begin(), grey.pixels.end(), kMidGrey[0]);
    int hidden = 0;
    for (int patch = 0; patch < kPatches; ++patch) {
      const bool covered = same_patch(example.masked, grey, patch);
      hidden += covered;
      EXPECT_NE(covered, same_patch(example.masked, example.image, patch));
      EXPECT_NE(covered, same_patch(example.reconstructed, example.image, patch));
    }
    EXPECT_EQ(hidden, kHidden);
    EXPECT_GT(example.error, 0.5);
    EXPECT_LT(example.error, 5.0);
  }
  EXPECT_NE(made.examples[0].masked.pixels, made.examples[1].masked.pixels);
}

TEST_P(MaeExamplesTest, AreTheSameEachTime) {
  LoadedModel loaded = tiny_model(GetParam());
  const fs::path set = manifest(3);
  const MaeExamples a = mae_examples(loaded, set, 8), b = mae_examples(loaded, set, 8);
  ASSERT_EQ(a.examples.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(a.examples[i].reconstructed.pixels, b.examples[i].reconstructed.pixels);
    EXPECT_EQ(a.examples[i].error, b.examples[i].error);
  }
}

TEST_P(MaeExamplesTest, APredictionOfNothingIsTheFlatPatch) {
  LoadedModel loaded = tiny_model(GetParam());
  for (const Parameter& parameter : loaded.vicha().parameters().parameters()) {
    if (parameter.name.starts_with("mae_proj")) at::Tensor(parameter.value.detach()).zero_();
  }
  const MaeExamples made = mae_examples(loaded, manifest(1), 1);
  ASSERT_EQ(made.examples.size(), 1u);
  const MaeExample& example = made.examples[0];
  // The targets have the unbiased deviation 1.
  constexpr double kPixels = kPatch * kPatch * 3;
  EXPECT_NEAR(example.error, (kPixels - 1) / kPixels, 1e-3);
  // One value in the normalised space is one value of each channel: check that they are flat, at about the mean.
  for (int patch = 0; patch < kPatches; ++patch) {
    if (same_patch(example.masked, example.image, patch)) continue;
    const int left = patch % 4 * kPatch, top = patch / 4 * kPatch;
    double mean = 0, flat = 0;
    for (int y = top; y < top + kPatch; ++y) {
      for (int x = left; x < left + kPatch; ++x) {
        for (int c = 0; c < 3; ++c) {
          mean += (example.image.row(y)[x * 3 + c] / 255.0 - kClipMean[c]) / kClipStd[c] / kPixels;
          flat += (example.reconstructed.row(y)[x * 3 + c] / 255.0 - kClipMean[c]) / kClipStd[c] / kPixels;
          EXPECT_EQ(example.reconstructed.row(y)[x * 3 + c], example.reconstructed.row(top)[left * 3 + c]);
        }
      }
    }
    EXPECT_NEAR(flat, mean, 0.5 / 255 / 0.25);  // half a step of 8 bits
  }
}

TEST_P(MaeExamplesTest, UnreadableImagesAreLeftOutByName) {
  LoadedModel loaded = tiny_model(GetParam());
  const fs::path set = manifest(3);
  folder_.write("p1.png", "no picture");
  const MaeExamples made = mae_examples(loaded, set, 3);
  EXPECT_EQ(made.examples.size(), 2u);
  EXPECT_NE(made.left_out.find("p1.png"), std::string::npos) << made.left_out;
}

INSTANTIATE_TEST_SUITE_P(Variants, MaeExamplesTest, testing::Values("unimodal", "cross_modal", "uni_cross_modal"));

}  // namespace
}  // namespace vicha
