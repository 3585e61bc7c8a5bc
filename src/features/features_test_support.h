// What the tests of features share: a folder with pictures and manifests, and towers whose numbers can be followed.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/random.h"
#include "features/feature_embed.h"
#include "image/decode.h"
#include "nn/kernel_choice.h"
#include "towers/bert_tower.h"
#include "towers/registry.h"
#include "towers/towers_test_support.h"

namespace vicha::features_test {

inline const fs::path kTowers = fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/towers";

/// Pooled: mean and deviation of each colour, and a large number. Patches: mean colours of 4 x 4 pixels. It dies after
/// some pictures if it is told to.
class ToyTower final : public ImageTower {
 public:
  explicit ToyTower(TowerInput input, char digit = 'a') {
    input_ = input;
    identity_ = {"toy", "a toy", std::string(64, digit), input.describe()};
  }
  std::int64_t pooled_width() const override { return 7; }
  std::int64_t patch_width() const override { return 3; }
  std::int64_t batch() const override { return 4; }
  TowerFeatures encode(const at::Tensor& pixels, bool patches) const override {
    const std::int64_t now = seen += pixels.size(0);
    if (die_after >= 0 && now > die_after) throw Error("killed");
    const at::Tensor flat = pixels.flatten(2);
    const at::Tensor large = at::full({pixels.size(0), 1}, 100.0 / 3);
    TowerFeatures f;
    f.pooled_BP = at::cat({flat.mean(at::IntArrayRef{2}), flat.std(2, false), large}, 1);
    f.rows = pixels.size(2) / 4;
    f.columns = pixels.size(3) / 4;
    if (patches) f.patches_BND = at::avg_pool2d(pixels, {4, 4}).flatten(2).transpose(1, 2).contiguous();
    return f;
  }
  void to(const at::Device&) override {}
  at::Device device() const override { return at::kCPU; }

  mutable std::atomic<std::int64_t> seen = 0;
  std::int64_t die_after = -1;
};

/// 8 rows and 12 columns, stretched.
inline TowerInput toy_input() {
  TowerInput input;
  input.height = input.resize_height = 8;
  input.width = input.resize_width = 12;
  input.resize = TowerInput::Resize::kExact;
  input.interpolation = TowerInput::Interpolation::kBilinear;
  return input;
}

inline Image noise_image(int width, int height, std::uint64_t seed) {
  Rng rng(seed);
  Image image(width, height, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<std::uint8_t>((i / 7 + static_cast<std::size_t>(20 * std::abs(rng.normal()))) % 256);
  }
  return image;
}

inline std::span<const std::uint8_t> bytes_of(const std::string& file) {
  return {reinterpret_cast<const std::uint8_t*>(file.data()), file.size()};
}

using towers_test::contains;
using towers_test::message;

/// A small BERT with a vocabulary of words; positions for 12 tokens.
inline std::unique_ptr<TextTower> small_bert(const fs::path& folder, std::uint64_t seed = 5, bool lower_case = true) {
  std::string words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
  for (const char* word : {"a", "red", "blue", "cat", "dog", "sits", "on", "the", "mat", "Red", "##s"}) {
    words += std::string(word) + "\n";
  }
  write_file_atomic(folder / "vocab.txt", words);
  BertTower::Options o;
  o.bert.vocabulary = 16;
  o.bert.max_positions = 12;
  o.bert.width = 32;
  o.bert.heads = 4;
  o.bert.inner = 48;
  o.bert.text_layers = 2;
  o.bert.fusion_layers = 0;
  o.max_tokens = 12;
  auto tower = std::make_unique<BertTower>(o, seed);
  const at::NoGradGuard no_grad;
  for (const Parameter& p : tower->parameters().parameters()) p.value.copy_(p.value * 4);
  tower->identify(folder / "vocab.txt", lower_case);
  return tower;
}

/// A folder with pictures and manifests, which goes when the test ends.
class FeatureFolder : public testing::Test {
 protected:
  void SetUp() override {
    set_matmul_kernel("blas");
    log::set_level(log::Level::kError);
    folder_ = fs::temp_directory_path() / ("vicha_features_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "images");
  }
  void TearDown() override {
    log::set_level(log::Level::kInfo);
    fs::remove_all(folder_);
  }

  void write_picture(const std::string& name, std::uint64_t seed) const {
    const int grow = static_cast<int>(seed % 5);
    write_file_atomic(folder_ / "images" / name, encode_png(noise_image(20 + 3 * grow, 31 - 4 * grow, seed)));
  }
  /// Pictures 0 to count - 1, every third named twice.
  fs::path write_pictures(int count, const std::string& name = "many.jsonl") const {
    std::string rows;
    for (int i = 0; i < count; ++i) {
      const std::string image = std::to_string(i) + ".png";
      write_picture(image, static_cast<std::uint64_t>(i));
      rows += R"({"image": "images/)" + image + R"(", "caption": "a picture"})" + "\n";
      if (i % 3 == 0) rows += R"({"image": "images/0.png", "caption": "again"})" + std::string("\n");
    }
    write_file_atomic(folder_ / name, rows);
    return folder_ / name;
  }
  fs::path write_captions(const std::string& name, const std::vector<std::string>& captions) const {
    std::string rows;
    for (const std::string& caption : captions) rows += R"({"image": "x.png", "caption": ")" + caption + "\"}\n";
    write_file_atomic(folder_ / name, rows);
    return folder_ / name;
  }

  fs::path folder_;
};

/// Keys, contents and numbers of both, bit for bit.
inline void expect_same_records(const fs::path& a_file, const fs::path& b_file) {
  const EmbeddingStore a = EmbeddingStore::open(a_file), b = EmbeddingStore::open(b_file);
  ASSERT_EQ(a.size(), b.size());
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    all.push_back(i);
    EXPECT_EQ(a.key(i), b.key(i));
    EXPECT_EQ(a.content(i), b.content(i));
  }
  EXPECT_TRUE(at::equal(a.rows(all), b.rows(all)));
}

}  // namespace vicha::features_test
