#include "concepts/source/clip_source.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "checkpoint/files/open.h"
#include "checkpoint/safetensors/safetensors.h"
#include "image/clip_preprocess.h"
#include "image/decode.h"
#include "image/resize.h"
#include "nn/norm.h"

namespace vicha {
namespace {

const fs::path kClipFixtures = fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/clip";

/// The tiny fixture's weights with a tokenizer of its 600 tokens beside them: 256 bytes, the same at a word's end, 86
/// merges, start and end.
class TinyClipFolder {
 public:
  explicit TinyClipFolder(const char* name) : path_(fs::path(testing::TempDir()) / name) {
    fs::remove_all(path_);
    fs::create_directories(path_);
    fs::copy(kClipFixtures / "clip_tiny.safetensors", path_ / "model.safetensors");
    fs::copy(kClipFixtures / "clip_tiny.config.json", path_ / "config.json");
    std::string merges = "#version: 0.2\nd o\ndo g</w>\nc a\nca t</w>\n";
    for (int i = 4; i < 86; ++i) merges += std::string(1, 'a' + i % 26) + " " + std::string(1, 'a' + i / 26) + "\n";
    write_file_atomic(path_ / "bpe_simple_vocab_16e6.txt", merges);
  }
  ~TinyClipFolder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// A detailed image: shapes at several scales and grain.
Image detailed_image(int width, int height, std::uint64_t seed) {
  Rng rng(seed);
  Image image(width, height, 3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double wave = 50 * std::sin(x * 0.02) * std::cos(y * 0.013) + 30 * std::sin(x * 0.11 + y * 0.07);
      const double edge = (x / 90 + y / 70) % 2 == 0 ? 25 : -25;
      for (int c = 0; c < 3; ++c) {
        image.row(y)[3 * x + c] =
            static_cast<std::uint8_t>(std::clamp(128 + wave * (c + 1) / 2 + edge + 3 * rng.normal(), 0.0, 255.0));
      }
    }
  }
  return image;
}

std::span<const std::uint8_t> bytes_of(const std::string& file) {
  return {reinterpret_cast<const std::uint8_t*>(file.data()), file.size()};
}

TEST(ClipSource, EmbedsTextsAndImagesAsTheModelDoes) {
  const TinyClipFolder folder("vicha_clip_source");
  const auto source = ClipSource::open(folder.path());
  EXPECT_EQ(source->side(), 64);
  EXPECT_EQ(source->width(), 32);
  EXPECT_NEAR(source->scale(),
              std::exp(read_safetensors(folder.path() / "model.safetensors").at("logit_scale").item<double>()), 1e-4);

  const std::vector<std::string> texts = {"a dog", "Cat", "a dog", std::string(400, 'x') + " dog"};
  const at::Tensor rows = source->embed_texts(texts);
  EXPECT_EQ(rows.sizes(), (std::vector<std::int64_t>{4, 32}));
  EXPECT_LT((rows[0] - rows[2]).abs().max().item<double>(), 1e-6);
  const ClipBpe bpe = ClipBpe::load(folder.path());
  const std::vector<std::int64_t> ids = bpe.tokenize("a dog");
  EXPECT_EQ(ids.front(), 598);
  EXPECT_EQ(ids.back(), 599);
  const at::Tensor plain = source->clip().text_states(at::tensor(ids, at::kLong).unsqueeze(0)).features;
  EXPECT_LT((rows[0] - plain[0]).abs().max().item<double>(), 1e-5);
  EXPECT_EQ(source->embed_texts({}).size(0), 0);

  const StateDict io = read_safetensors(kClipFixtures / "clip_tiny.io.safetensors");
  const at::Tensor features = source->embed_images(io.at("pixel_values").to(at::kFloat) / 32);
  EXPECT_LT((unit_rows(features) - io.at("image_embeds")).abs().max().item<double>(), 1e-5);
}

TEST(ClipSource, PreparesImagesAsOpenAiDoes) {
  const TinyClipFolder folder("vicha_clip_prepare");
  ClipSourceOptions exact;
  exact.exact = true;
  const auto source = ClipSource::open(folder.path(), exact);
  const std::string file = encode_jpeg(detailed_image(331, 257, 1), 90);
  std::vector<float> ours(3 * 64 * 64), plain(ours.size()), from_memory(ours.size());
  source->prepare(bytes_of(file), "a.jpg", ours);
  clip_preprocess(bytes_of(file), "a.jpg", 64, plain);
  EXPECT_EQ(ours, plain);
  source->prepare(decode_rgb(bytes_of(file), "a.jpg"), from_memory);
  EXPECT_EQ(from_memory, plain);
  const std::string bad = file.substr(0, 300);
  EXPECT_THROW(source->prepare(bytes_of(bad), "a.jpg", ours), DataError);

  // Many threads concurrently.
  std::vector<std::vector<float>> results(4, std::vector<float>(ours.size()));
  {
    std::vector<std::jthread> threads;
    for (auto& result : results) threads.emplace_back([&] { source->prepare(bytes_of(file), "a.jpg", result); });
  }
  for (const auto& result : results) EXPECT_EQ(result, plain);
}

/// The tolerance that clip_least_side promises for embeddings, with random weights of ViT-B/32's shape.
TEST(ClipSource, DecodingAtScaleKeepsTheEmbedding) {
  ClipOptions shape;
  shape.vision = {768, 12, 12, 3072, Activation::kQuickGelu, 1e-5};
  shape.text = {64, 1, 1, 64, Activation::kQuickGelu, 1e-5};  // not run
  shape.image_res = 224, shape.patch = 32, shape.vocabulary = 2, shape.context = 2, shape.embed = 512;
  const Clip clip(shape, 3);
  const Image sheet = load_rgb(fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/randaugment/sheet_a.png");
  const std::string files[] = {encode_jpeg(resize_bicubic(sheet, 1200, 960), 90),
                               encode_jpeg(detailed_image(1152, 864, 2), 90)};
  const auto unit = [&](bool exact) {
    const at::Tensor pixels = at::empty({2, 3, 224, 224});
    DecodeOptions how;
    how.least_side = exact ? 0 : clip_least_side(224);
    for (std::int64_t i = 0; i < 2; ++i) {
      clip_preprocess(bytes_of(files[i]), "a.jpg", 224,
                      {pixels.data_ptr<float>() + i * pixels.stride(0), 3 * 224 * 224}, how);
    }
    return unit_rows(clip.encode_image(pixels));
  };
  const at::Tensor full = unit(true), scaled = unit(false);
  const double between = (full[0] * full[1]).sum().item<double>();
  for (std::int64_t i = 0; i < 2; ++i) {
    const double cosine = (full[i] * scaled[i]).sum().item<double>();
    EXPECT_FALSE(at::equal(full[i], scaled[i])) << i;  // it was decoded at scale
    EXPECT_GT(cosine, 0.9999) << i;
    EXPECT_LT(1 - cosine, 0.02 * (1 - between)) << i;  // beside what another image makes
  }
}

TEST(ClipSource, ItsIdentityIsThatOfTheWeights) {
  const std::string mini = (kClipFixtures / "clip_mini").string();
  const auto source = ClipSource::open(mini + ".safetensors");
  EXPECT_EQ(source->weights().kind, "clip");
  EXPECT_NE(source->weights().name.find("ViT-32x2/8@24"), std::string::npos) << source->weights().name;
  EXPECT_NE(source->weights().view.find("clip 24"), std::string::npos);
  // Other names, another file, the same weights.
  for (const char* other : {".openai.pt", ".open_clip_custom_text.pt"}) {
    EXPECT_TRUE(source->weights().same(ClipSource::open(mini + other)->weights())) << other;
  }
  EXPECT_FALSE(source->weights().same(ClipSource::open(kClipFixtures / "clip_tiny.safetensors")->weights()));
  ClipSourceOptions exact;
  exact.exact = true;
  const auto other_view = ClipSource::open(mini + ".safetensors", exact);
  EXPECT_EQ(other_view->weights().sha256, source->weights().sha256);
  EXPECT_FALSE(source->weights().same(other_view->weights()));
  // One number in one tensor, or another activation.
  const StateDict tensors = open_weights(mini + ".safetensors").tensors;
  std::string config = read_file(mini + ".config.json");
  StateDict changed = tensors;
  at::Tensor scale = tensors.at("logit_scale").to(at::kFloat) + 0.5;
  changed.set("logit_scale", scale);
  EXPECT_NE(clip_sha256(*make_clip(changed, "test", config)), source->weights().sha256);
  EXPECT_EQ(clip_sha256(*make_clip(tensors, "test", config)), source->weights().sha256);
  for (auto at = config.find("quick_gelu"); at != std::string::npos; at = config.find("quick_gelu")) {
    config.replace(at, 10, "gelu");
  }
  EXPECT_NE(clip_sha256(*make_clip(tensors, "test", config)), source->weights().sha256);
}

TEST(ClipSource, SaysWhatIsMissing) {
  const auto images_only = ClipSource::open(kClipFixtures / "clip_tiny.safetensors");
  const std::vector<std::string> texts = {"a dog"};
  EXPECT_THROW(images_only->embed_texts(texts), DataError);
  const TinyClipFolder folder("vicha_clip_missing");
  ClipSourceOptions options;
  options.tokenizer = folder.path() / "bpe_simple_vocab_16e6.txt";
  EXPECT_THROW(ClipSource::open(kClipFixtures / "clip_mini.safetensors", options), DataError);  // 320 tokens
  EXPECT_NO_THROW(ClipSource::open(kClipFixtures / "clip_tiny.safetensors", options)->embed_texts(texts));
}

}  // namespace
}  // namespace vicha
