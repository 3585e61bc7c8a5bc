// A small world to train in: images of eight colours with captions, a vocabulary, a recipe of a few seconds.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/log.h"
#include "config/serialize.h"
#include "image/decode.h"
#include "nn/kernel_choice.h"
#include "tasks/host/training.h"
#include "tasks/pretrain/pretrain_recipe.h"

namespace vicha {

inline const std::vector<std::pair<std::string, std::array<int, 3>>> kColours = {
    {"red", {220, 30, 30}},  {"green", {30, 180, 40}},   {"blue", {30, 40, 220}},    {"yellow", {230, 220, 40}},
    {"black", {10, 10, 10}}, {"white", {245, 245, 245}}, {"purple", {140, 40, 160}}, {"orange", {240, 140, 20}}};

class ColourWorld : public testing::Test {
 protected:
  void SetUp() override {
    set_matmul_kernel("blas");
    log::set_level(log::Level::kError);
    folder_ = fs::temp_directory_path() / ("vicha_colours_" + std::to_string(::getpid()));
    fs::create_directories(folder_ / "images");
    std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\npicture\nthing\n";
    for (const auto& [name, rgb] : kColours) vocabulary += name + "\n";
    write_file_atomic(folder_ / "vocab.txt", vocabulary);
    write_manifest("train.json", 6, 0);
    write_manifest("test.json", 1, 100);
  }
  void TearDown() override {
    log::set_level(log::Level::kInfo);
    fs::remove_all(folder_);
  }

  /// `copies` images of each colour, a little different each.
  void write_manifest(const std::string& name, int copies, int shift) {
    std::string rows;
    Rng rng(static_cast<std::uint64_t>(shift));
    for (int copy = 0; copy < copies; ++copy) {
      for (const auto& [colour, rgb] : kColours) {
        Image image(24, 24, 3);
        for (std::size_t i = 0; i < image.pixels.size(); ++i) {
          const double v = rgb[i % 3] + rng.uniform(-12, 12);
          image.pixels[i] = static_cast<std::uint8_t>(std::clamp(v, 0.0, 255.0));
        }
        const std::string file = "images/" + colour + std::to_string(shift + copy) + ".png";
        write_file_atomic(folder_ / file, encode_png(image));
        rows += R"({"image": ")" + file + R"(", "caption": "a )" + colour +
                R"( picture", "kwords": ["thing", "thing", "thing"]})" + "\n";
      }
    }
    write_file_atomic(folder_ / name, rows);
  }

  PretrainRecipe recipe() const {
    PretrainRecipe r;
    apply_toml(r, R"(
[model]
embed_dim = 16
queue_size = 24
momentum = 0.9
[model.vit]
image_res = 24
patch = 8
width = 32
depth = 3
heads = 2
[model.text]
vocabulary = 16
max_positions = 12
width = 32
heads = 2
inner = 64
text_layers = 2
fusion_layers = 2
cls_id = 2
sep_id = 3
mask_id = 4
[model.concepts]
layers = 1
[model.mae_decoder]
width = 32
heads = 2
depth = 1
[itc]
positives = "caption"
[hitc]
levels = 1
[mlm]
probability = 0.4
[data]
batch_size = 16
max_tokens = 8
workers = 2
[data.transform]
crop_scale_min = 0.8
[data.transform.augment]
enabled = false
[data.concepts]
max_tokens = 8
[train]
precision = "fp32"
max_steps = 6
[optimizer]
lr = 2e-3
[schedule]
kind = "constant"
warmup = 0
[checkpoint]
every_steps = 3
every_epochs = 0
keep = 0
[log]
tensorboard = false
)",
               "test.toml");
    r.init.vocabulary = (folder_ / "vocab.txt").string();
    r.data.manifests = {(folder_ / "train.json").string()};
    return r;
  }

  RunResult run(PretrainRecipe r, const std::string& out, const std::string& resume = "auto") const {
    r.finish();
    return train_task({r, folder_ / out, ResumeChoice::parse(resume), "cpu"});
  }

  fs::path folder_;
};

}  // namespace vicha
