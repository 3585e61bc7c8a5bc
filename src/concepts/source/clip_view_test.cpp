#include "concepts/source/clip_view.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/random.h"
#include "concepts/source/clip_source.h"
#include "image/decode.h"

namespace vicha::clip_view_test {
namespace {

using Json = nlohmann::json;
using Pixels = std::vector<float>;

constexpr int kSide = 64;

/// The tiny fixture's weights with the settings that are written beside them.
class ViewFolder {
 public:
  explicit ViewFolder(const char* name) : path_(fs::path(testing::TempDir()) / name) {
    fs::remove_all(path_);
    fs::create_directories(path_);
    const fs::path clip = fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/clip";
    fs::copy(clip / "clip_tiny.safetensors", path_ / "model.safetensors");
    theirs_ = Json::parse(read_file(clip / "clip_tiny.config.json"));
    log::set_sink([](log::Level, std::string_view) {});
  }
  ~ViewFolder() {
    log::set_sink({});
    fs::remove_all(path_);
  }

  /// As open_clip keeps it.
  std::unique_ptr<ClipSource> open_clip(const Json& preprocess) {
    const Json &text = theirs_.at("text_config"), &vision = theirs_.at("vision_config");
    const std::int64_t width = vision.at("hidden_size");
    const Json model = {{"embed_dim", theirs_.at("projection_dim")},
                        {"quick_gelu", vision.at("hidden_act") == "quick_gelu"},
                        {"vision_cfg",
                         {{"width", width},
                          {"layers", vision.at("num_hidden_layers")},
                          {"image_size", vision.at("image_size")},
                          {"patch_size", vision.at("patch_size")},
                          {"head_width", width / vision.at("num_attention_heads").get<std::int64_t>()}}},
                        {"text_cfg",
                         {{"width", text.at("hidden_size")},
                          {"layers", text.at("num_hidden_layers")},
                          {"heads", text.at("num_attention_heads")},
                          {"vocab_size", text.at("vocab_size")},
                          {"context_length", text.at("max_position_embeddings")}}}};
    Json whole = {{"model_cfg", model}};
    if (!preprocess.is_null()) whole["preprocess_cfg"] = preprocess;
    write_file_atomic(path_ / "open_clip_config.json", whole.dump());
    fs::remove(path_ / "config.json");
    return source();
  }
  /// As transformers does.
  std::unique_ptr<ClipSource> transformers(const Json& preprocessor, const char* name = "preprocessor_config.json") {
    write_file_atomic(path_ / "config.json", theirs_.dump());
    write_file_atomic(path_ / name, preprocessor.dump());
    return source();
  }
  std::unique_ptr<ClipSource> source() {
    ClipSourceOptions exact;
    exact.exact = true;
    return ClipSource::open(path_, exact);
  }

 private:
  fs::path path_;
  Json theirs_;
};

Image picture(int width, int height) {
  Rng rng(static_cast<std::uint64_t>(width * height));
  Image image(width, height, 3);
  for (std::uint8_t& sample : image.pixels) sample = static_cast<std::uint8_t>(rng.below(256));
  return image;
}

Pixels prepared(const ClipSource& source, const Image& image) {
  Pixels out(3 * kSide * kSide);
  source.prepare(image, out);
  return out;
}

/// (x / 255 - mean) / std by hand.
Pixels normalised(const Image& image, const std::array<double, 3>& mean = kClipMean,
                  const std::array<double, 3>& std = kClipStd) {
  Pixels out;
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = c; i < image.pixels.size(); i += 3) {
      out.push_back(static_cast<float>((image.pixels[i] / 255.0 - mean[c]) / std[c]));
    }
  }
  return out;
}

double furthest_of(const Pixels& a, const Pixels& b) {
  EXPECT_EQ(a.size(), b.size());
  double most = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) most = std::max<double>(most, std::fabs(a[i] - b[i]));
  return most;
}

std::string refused_view(const Json& json) {
  try {
    clip_view_of(json.dump(), "p.json", kSide);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

const Image kWide = picture(160, 100);

TEST(ClipView, OpenClipsSettingsDecideOnTheNumbers) {
  ViewFolder folder("vicha_clip_view_open");
  const Image usual = crop(resize_bicubic(kWide, 102, 64), {19, 0, 64, 64});
  const auto plain = folder.open_clip(nullptr);
  EXPECT_EQ(plain->weights().view, "clip 64");
  EXPECT_LT(furthest_of(prepared(*plain, kWide), normalised(usual)), 1e-5);
  EXPECT_EQ(folder
                .open_clip({{"size", 64},
                            {"mode", "RGB"},
                            {"interpolation", "bicubic"},
                            {"resize_mode", "shortest"},
                            {"fill_color", 0}})
                ->weights()
                .view,
            "clip 64");

  const auto means = folder.open_clip({{"mean", {0.5, 0.4, 0.3}}, {"std", {0.5, 0.25, 0.2}}, {"size", {64, 64}}});
  EXPECT_LT(furthest_of(prepared(*means, kWide), normalised(usual, {0.5, 0.4, 0.3}, {0.5, 0.25, 0.2})), 1e-5);
  const auto bilinear = folder.open_clip({{"interpolation", "bilinear"}});
  EXPECT_LT(furthest_of(prepared(*bilinear, kWide),
                        normalised(crop(resize_by(Filter::kBilinear, kWide, 102, 64), {19, 0, 64, 64}))),
            1e-5);
  const auto squashed = folder.open_clip({{"resize_mode", "squash"}});
  EXPECT_LT(furthest_of(prepared(*squashed, kWide), normalised(resize_bicubic(kWide, 64, 64))), 1e-5);
  const auto longest = folder.open_clip({{"resize_mode", "longest"}, {"fill_color", 7}});
  Image padded(64, 64, 3);
  std::ranges::fill(padded.pixels, std::uint8_t{7});
  const Image small = resize_bicubic(kWide, 64, 40);
  std::ranges::copy(small.pixels, padded.row(12));
  EXPECT_LT(furthest_of(prepared(*longest, kWide), normalised(padded)), 1e-5);

  // None of them mixes with another.
  const ClipSource* sources[] = {plain.get(), means.get(), bilinear.get(), squashed.get(), longest.get()};
  for (const ClipSource* a : sources) {
    for (const ClipSource* b : sources) EXPECT_EQ(a->weights().same(b->weights()), a == b) << b->weights().view;
    EXPECT_TRUE(decodes_exactly(a->weights().view));
  }
  EXPECT_THROW(require_same(plain->weights(), "old.emb", means->weights(), "new.emb"), DataError);
}

TEST(ClipView, TransformersSettingsDecideOnTheNumbers) {
  ViewFolder folder("vicha_clip_view_hf");
  const Image usual = crop(resize_bicubic(kWide, 102, 64), {19, 0, 64, 64});
  const Json numbers = {{"image_mean", {0.5, 0.5, 0.5}}, {"image_std", {0.5, 0.5, 0.5}}};
  // All the forms in which the usual has been written.
  for (const Json& json : std::vector<Json>{{{"size", 64},
                                             {"crop_size", 64},
                                             {"resample", 3},
                                             {"do_resize", true},
                                             {"do_center_crop", true},
                                             {"do_normalize", true},
                                             {"feature_extractor_type", "CLIPFeatureExtractor"}},
                                            {{"size", {{"shortest_edge", 64}}},
                                             {"crop_size", {{"height", 64}, {"width", 64}}},
                                             {"do_rescale", true},
                                             {"rescale_factor", 0.00392156862745098},
                                             {"image_processor_type", "CLIPImageProcessor"}}}) {
    EXPECT_EQ(folder.transformers(json)->weights().view, "clip 64") << json;
  }
  Json half = numbers;
  half.update({{"size", {{"shortest_edge", 80}}}, {"crop_size", 64}, {"resample", 2}});
  const auto source = folder.transformers(half);
  const Image larger = crop(resize_by(Filter::kBilinear, kWide, 128, 80), {32, 8, 64, 64});
  EXPECT_LT(furthest_of(prepared(*source, kWide), normalised(larger, {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5})), 1e-5);
  const auto both = folder.transformers({{"size", {{"height", 64}, {"width", 64}}}, {"do_center_crop", false}});
  EXPECT_LT(furthest_of(prepared(*both, kWide), normalised(resize_bicubic(kWide, 64, 64))), 1e-5);
  const auto raw = folder.transformers({{"do_normalize", false}});
  EXPECT_LT(furthest_of(prepared(*raw, kWide), normalised(usual, {0, 0, 0}, {1, 1, 1})), 1e-5);
  const auto scaled = folder.transformers(
      {{"do_rescale", true}, {"rescale_factor", 1.0 / 127.5}, {"image_mean", {1, 1, 1}}, {"image_std", {1, 1, 1}}});
  EXPECT_LT(furthest_of(prepared(*scaled, kWide), normalised(usual, {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5})), 1e-5);
  const Json processor = {{"processor_class", "CLIPProcessor"}, {"image_processor", numbers}};
  EXPECT_EQ(clip_view_of(processor.dump(), "p", kSide)->mean[1], 0.5);
  EXPECT_EQ(clip_view_of(R"({"processor_class": "CLIPProcessor"})", "p", kSide)->describe(), "");
  EXPECT_FALSE(clip_view_of(R"({"text_config": {}, "vision_config": {}})", "p", kSide).has_value());

  // Palettes are converted first where that is said: their colours are mixed rather than picked.
  NativeImage palette;
  palette.mode = PixelMode::kPalette;
  palette.pixels = Image(128, 128, 1);
  for (int i = 0; i < 128 * 128; ++i)
    palette.pixels.pixels[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(i % 2);
  palette.palette[0] = {0, 0, 0, 255};
  palette.palette[1] = {200, 200, 200, 255};
  const ClipView first = clip_view_of(R"({"do_convert_rgb": true, "size": 64})", "p", kSide).value();
  EXPECT_EQ(first.describe(), ", RGB first");
  EXPECT_NEAR(clip_crop(NativeImage(palette), first).pixels[3 * (64 * 32 + 32)], 100, 2);
  const int picked = clip_crop(NativeImage(palette), kSide).pixels[3 * (64 * 32 + 32)];
  EXPECT_TRUE(picked == 0 || picked == 200);
}

TEST(ClipView, WhatIsNotBuiltIsRefusedByName) {
  const std::pair<Json, const char*> open_clip[] = {{{{"size", 224}}, "'preprocess_cfg.size' is 224"},
                                                    {{{"size", {64, 128}}}, "'preprocess_cfg.size' is [64,128]"},
                                                    {{{"mode", "L"}}, "'preprocess_cfg.mode' is \"L\""},
                                                    {{{"interpolation", "lanczos"}}, "lanczos"},
                                                    {{{"resize_mode", "stretch"}}, "stretch"},
                                                    {{{"mean", {0.5, 0.5}}}, "three numbers"},
                                                    {{{"std", {0.5, 0, 0.5}}}, "positive"},
                                                    {{{"fill_color", 300}}, "300"}};
  for (const auto& [json, expected] : open_clip) {
    const std::string message = refused_view({{"model_cfg", Json::object()}, {"preprocess_cfg", json}});
    EXPECT_TRUE(message.starts_with("p.json") && message.find(expected) != std::string::npos) << json << message;
  }
  const std::pair<Json, const char*> transformers[] = {
      {{{"do_resize", false}}, "'do_resize' is false"},
      {{{"size", {{"longest_edge", 64}}}}, "size.longest_edge"},
      {{{"size", {{"height", 64}, {"width", 32}}}}, "'size'"},
      {{{"size", 32}}, "'size' is 32"},
      {{{"size", 64}, {"crop_size", 32}}, "'crop_size' is 32"},
      {{{"size", 64}, {"do_center_crop", false}}, "'do_center_crop' is false"},
      {{{"size", 64}, {"resample", 0}}, "'resample' is 0"},
      {{{"size", 64}, {"rescale_factor", -1}}, "rescale_factor"},
      {{{"size", 64}, {"do_pad", true}}, "do_pad"},
      {{{"size", "big"}}, "wrong kind"}};
  for (const auto& [json, expected] : transformers) {
    const std::string message = refused_view(json);
    EXPECT_TRUE(message.starts_with("p.json") && message.find(expected) != std::string::npos) << json << message;
  }
  EXPECT_THROW(clip_view_of("[", "p.json", kSide), DataError);
}

}  // namespace
}  // namespace vicha::clip_view_test
