#include "towers/registry.h"

#include "towers/preprocess.h"
#include "towers/towers_test_support.h"

namespace vicha {
namespace {

using namespace towers_test;
using towers::Recipe;

fs::path golden_tower(const std::string& name) {
  return fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/towers" / name;
}

void fill_folder(const Folder& folder, const std::string& set) {
  fs::copy_file(golden_tower(set + ".safetensors"), folder / "model.safetensors");
  fs::copy_file(golden_tower(set + ".config.json"), folder / "config.json");
}

TEST(OpenTower, AFolderSaysByItsConfigurationWhatItIs) {
  for (const auto& [set, kind] : {std::pair{"vit_tiny_hf", "vit"}, std::pair{"dinov2_registers_tiny", "dinov2"},
                                  std::pair{"siglip_tiny", "siglip"}}) {
    const Folder folder;
    fill_folder(folder, set);
    EXPECT_EQ(open_image_tower(folder.path().string())->identity().kind, kind);
    EXPECT_EQ(open_image_tower(std::string(kind) + ":" + folder.path().string())->identity().kind, kind);
  }
}

TEST(OpenTower, PrefixesThatAreNotKnownGetTheNearest) {
  const auto usage = [](const std::string& spec) { return message<UsageError>([&] { open_image_tower(spec); }); };
  EXPECT_TRUE(contains(usage("dino2:x.pth"), "no picture tower 'dino2'; nearest: 'dinov2'"));
  EXPECT_TRUE(contains(usage("sigclip:x.pth"), "nearest: 's"));
  EXPECT_TRUE(contains(usage("nowhere"), "nowhere: is not there"));
  EXPECT_TRUE(contains(usage("vit:"), "the file is missing"));
  EXPECT_TRUE(contains(usage(golden_tower("dinov2_tiny.safetensors").string()), "it looks like dinov2:"));
  EXPECT_TRUE(contains(usage(golden_tower("README.md").string()), "say what it is, one of vit:FILE"));
  EXPECT_TRUE(contains(message<UsageError>([] { open_text_tower("brt:x"); }), "nearest: 'bert'"));
}

TEST(OpenTower, WeightsUnderAnothersPrefixAreNamed) {
  const auto refused = [](const std::string& prefix, const std::string& set) {
    return message([&] { open_image_tower(prefix + golden_tower(set + ".safetensors").string()); });
  };
  EXPECT_TRUE(contains(refused("clip:", "siglip_tiny"), "are a SigLIP, not a CLIP. Give them as siglip:"));
  EXPECT_TRUE(contains(refused("clip:", "dinov2_tiny"), "are a Hugging Face DINOv2, not a CLIP. Give them as dinov2:"));
  EXPECT_TRUE(contains(refused("siglip:", "vit_tiny_hf"), "are a Hugging Face ViT, not a SigLIP. Give them as vit:"));
  EXPECT_TRUE(contains(refused("vit:", "dinov2_swiglu_tiny"), "Give them as dinov2:"));
  const std::string bert = message([] { open_text_tower("bert:" + golden_tower("vit_tiny_hf.safetensors").string()); });
  EXPECT_TRUE(contains(bert, "are a Hugging Face ViT, not a Hugging Face BERT"));
}

TEST(OpenTower, FoldersOfOtherThings) {
  const Folder folder;
  const auto refused = [&] { return message([&] { open_image_tower(folder.path().string()); }); };
  EXPECT_TRUE(contains(refused(), "has no config.json"));
  write_file_atomic(folder / "config.json", R"({"model_type": "swin"})");
  EXPECT_TRUE(contains(refused(), "'model_type' is \"swin\""));
  write_file_atomic(folder / "config.json", R"({"architecture": "resnet50", "pretrained_cfg": {}})");
  EXPECT_TRUE(contains(refused(), "'architecture' is \"resnet50\""));
  write_file_atomic(folder / "config.json", R"({"model_type": "bert"})");
  EXPECT_TRUE(contains(refused(), "is not a picture tower"));
  for (const std::string& text :
       {std::string("{"), "{\"a\": " + std::string(200'000, '[') + std::string(200'000, ']') + "}"}) {
    write_file_atomic(folder / "config.json", text);
    EXPECT_TRUE(contains(refused(), "is not a JSON object")) << text.substr(0, 20);
  }
  EXPECT_TRUE(contains(message([&] { open_image_tower("vit:" + (folder / "gone.pth").string()); }), "gone.pth"));
}

TEST(TowerPreprocessing, AsTheProcessorsConfigurationSays) {
  const auto said = [](Recipe recipe, const std::string& json) {
    return towers::preprocessor_input(towers::usual_input(recipe, 224, 14), recipe, json, "p.json").describe();
  };
  const std::string rest = ", mean 0.5 0.5 0.5, std 0.5 0.5 0.5";
  EXPECT_EQ(said(Recipe::kHuggingFaceVit, "{}"), "stretched to 224x224 bilinear, centre 224x224" + rest);
  EXPECT_EQ(said(Recipe::kHuggingFaceVit, R"({"size": 384, "resample": 3, "do_center_crop": false})"),
            "stretched to 384x384 bicubic, centre 384x384" + rest);
  EXPECT_EQ(said(Recipe::kSiglip, R"({"size": {"height": 384, "width": 384}, "resample": 2})"),
            "stretched to 384x384 bilinear, centre 384x384" + rest);
  EXPECT_EQ(said(Recipe::kDinov2, R"({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224},
             "do_center_crop": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]})"),
            "shorter side 256 bicubic, centre 224x224" + rest);
  // One number is the shorter side to CLIP's processor, both sides to DeiT's.
  EXPECT_TRUE(contains(said(Recipe::kClip, R"({"size": 224, "crop_size": 224})"), "shorter side 224 bicubic"));
  EXPECT_TRUE(contains(said(Recipe::kDeit, R"({"size": 256, "crop_size": 224, "feature_extractor_type":
                       "DeiTFeatureExtractor"})"),
                       "stretched to 256x256 bicubic, centre 224x224"));
}

TEST(TowerPreprocessing, WhatIsNotBuiltIsNamed) {
  const auto refused = [](const std::string& json) {
    return message([&] {
      towers::preprocessor_input(towers::usual_input(Recipe::kDinov2, 224, 14), Recipe::kDinov2, json, "p.json");
    });
  };
  EXPECT_TRUE(contains(refused(R"({"do_normalize": false})"), "'do_normalize' is false"));
  EXPECT_TRUE(contains(refused(R"({"rescale_factor": 1})"), "built is 1/255"));
  EXPECT_TRUE(contains(refused(R"({"resample": 5})"), "'resample' is 5"));
  EXPECT_TRUE(contains(refused(R"({"size": {"shortest_edge": 256}, "do_center_crop": false})"), "'do_center_crop'"));
  EXPECT_TRUE(contains(refused(R"({"size": {"shortest_edge": 200}, "crop_size": 224})"), "larger than the resized"));
  EXPECT_TRUE(contains(refused(R"({"image_std": [0, 1, 1]})"), "numbers above 0"));
  EXPECT_TRUE(contains(refused(R"({"size": 0})"), "'size' is 0"));
}

TEST(TowerPreprocessing, TimmsConfiguration) {
  const auto usual = towers::usual_input(Recipe::kDeit, 224, 16);
  EXPECT_EQ(towers::timm_input(usual, R"({"architecture": "vit_base_patch16_224", "pretrained_cfg":
              {"input_size": [3, 224, 224], "crop_pct": 0.9, "interpolation": "bicubic", "mean": [0.5, 0.5, 0.5],
               "std": [0.5, 0.5, 0.5]}})",
                               "c.json")
                .describe(),
            "shorter side 248 bicubic, centre 224x224, mean 0.5 0.5 0.5, std 0.5 0.5 0.5");
  EXPECT_TRUE(
      contains(message([&] { towers::timm_input(usual, R"({"crop_mode": "border"})", "c.json"); }), "crop_mode"));
  EXPECT_EQ(usual.describe(),
            "shorter side 256 bicubic, centre 224x224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225");
}

}  // namespace
}  // namespace vicha
