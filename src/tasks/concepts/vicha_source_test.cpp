#include "tasks/concepts/vicha_source.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/random.h"
#include "checkpoint/safetensors/safetensors.h"
#include "config/serialize.h"
#include "data/pipeline/evaluation.h"
#include "data/pipeline/loader.h"
#include "image/decode.h"
#include "models/pair_scorer.h"
#include "nn/kernel_choice.h"
#include "nn/norm.h"
#include "tasks/concepts/concept_sources.h"
#include "tasks/host/model_files.h"
#include "tasks/host/training.h"
#include "tasks/pretrain/pretrain_recipe.h"

namespace vicha {
namespace {

class VichaSourceRun : public testing::Test {
 protected:
  void SetUp() override {
    set_matmul_kernel("blas");
    log::set_level(log::Level::kError);
    folder_ = fs::temp_directory_path() / ("vicha_source_" + std::to_string(::getpid()));
    fs::create_directories(folder_ / "images");
    write_file_atomic(folder_ / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\npicture\nthing\nred\nblue\n");
    std::string rows;
    Rng rng(1);
    for (int i = 0; i < 12; ++i) {
      Image image(30, 20, 3);
      for (std::uint8_t& p : image.pixels) p = static_cast<std::uint8_t>(rng.below(256));
      const std::string name = "images/" + std::to_string(i) + ".png";
      write_file_atomic(folder_ / name, encode_png(image));
      rows += R"({"image": ")" + name + R"(", "caption": "A )" + (i % 2 == 0 ? "red" : "blue") +
              R"( Picture!", "kwords": ["thing"]})" + "\n";
    }
    write_file_atomic(folder_ / "train.jsonl", rows);
  }
  void TearDown() override {
    log::set_level(log::Level::kInfo);
    fs::remove_all(folder_);
  }

  fs::path train(const std::string& out, bool concepts, int steps = 2) const {
    PretrainRecipe r;
    apply_toml(r, R"(
[model]
embed_dim = 12
queue_size = 8
[model.vit]
image_res = 24
patch = 8
width = 16
depth = 3
heads = 2
[model.text]
vocabulary = 10
max_positions = 12
width = 16
heads = 2
inner = 32
text_layers = 2
fusion_layers = 1
cls_id = 2
sep_id = 3
mask_id = 4
[model.concepts]
layers = 1
[hitc]
levels = 1
[mae]
enabled = false
[data]
batch_size = 4
max_tokens = 8
workers = 1
[data.concepts]
max_tokens = 8
[train]
precision = "fp32"
[checkpoint]
every_epochs = 0
[log]
tensorboard = false
)",
               "test.toml");
    r.model.concepts.enabled = concepts;
    r.data.concepts.enabled = concepts;
    r.training.length.max_steps = steps;
    r.training.checkpoint.every_steps = steps;
    r.init.vocabulary = (folder_ / "vocab.txt").string();
    r.data.manifests = {(folder_ / "train.jsonl").string()};
    r.finish();
    return train_task({r, folder_ / out, ResumeChoice::parse("none"), "cpu"}).last_checkpoint;
  }

  fs::path folder_;
};

TEST_F(VichaSourceRun, TowersAreThoseOfRetrieval) {
  const fs::path checkpoint = train("plain", false);
  const std::unique_ptr<ConceptSource> source = open_concept_source("vicha:" + checkpoint.string(), {.device = "cpu"});
  EXPECT_EQ(source->width(), 12);
  EXPECT_EQ(source->side(), 24);
  EXPECT_EQ(source->weights().kind, "vicha");
  EXPECT_EQ(source->weights().view, "whole 24");
  EXPECT_EQ(source->weights().name, "plain, step-000002");

  const LoadedModel loaded = load_trained(checkpoint, "cpu");
  EXPECT_NEAR(source->scale(), 1 / loaded.vicha().temperature().item<double>(), 1e-9);
  DataOptions data = loaded.recipe->data;
  const auto set = std::make_shared<const EvaluationSet>(load_manifests(data), loaded.tokenizer, data);
  PairScorer scorer(loaded.vicha(), loaded.parts->match_head());
  EvaluationImages images(set, 12);
  scorer.add_images(images.next()->image, {});
  scorer.add_texts(set->captions(0, set->caption_count()));

  at::Tensor pixels = at::empty({12, 3, 24, 24});
  std::vector<std::string> texts;
  for (std::int64_t i = 0; i < 12; ++i) {
    const std::string file = read_file(fs::path(set->image_path(i)));
    const std::span bytes(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
    source->prepare(bytes, "picture", {pixels.data_ptr<float>() + i * 3 * 24 * 24, 3 * 24 * 24});
    texts.emplace_back(set->caption(i));
  }
  const at::Tensor cosines = at::mm(unit_rows(source->embed_images(pixels)), unit_rows(source->embed_texts(texts)).t());
  EXPECT_TRUE(at::allclose(cosines, scorer.similarities(), 1e-5, 1e-5));
  // As captions are: cleaned first.
  const at::Tensor rows = source->embed_texts(std::vector<std::string>{"a red picture", "A Red, Picture"});
  EXPECT_TRUE(at::equal(rows[0], rows[1]));
  EXPECT_EQ(source->embed_texts({}).size(0), 0);
}

TEST_F(VichaSourceRun, IdentityIsThatOfTheTowersAlone) {
  const fs::path checkpoint = train("plain", false);
  const auto hash = [&] { return open_vicha_source(checkpoint, "cpu")->weights().sha256; };
  const std::string before = hash();
  EXPECT_EQ(before.size(), 64u);
  const auto change = [&](const std::string& name) {
    StateDict copy;
    for (const auto& [key, tensor] : read_safetensors(checkpoint / "model.safetensors")) copy.set(key, tensor.clone());
    at::Tensor(copy.at(name)).add_(1e-3);
    write_safetensors(checkpoint / "model.safetensors", copy);
  };
  change("itm_head.weight");
  change("visual_encoder_m.norm.weight");
  change("text_encoder.bert.encoder.layer.2.output.dense.weight");
  EXPECT_EQ(hash(), before);
  change("text_encoder.bert.encoder.layer.1.output.dense.weight");
  const std::string text = hash();
  EXPECT_NE(text, before);
  change("vision_proj.bias");
  EXPECT_NE(hash(), text);
}

TEST_F(VichaSourceRun, WhatIsNoSourceIsRefused) {
  const fs::path checkpoint = train("concepts", true);
  try {
    open_vicha_source(checkpoint, "cpu");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("trained with concepts"), std::string::npos) << error.what();
  }
  EXPECT_THROW(open_concept_source("vicha:" + (folder_ / "nowhere").string()), DataError);
  EXPECT_THROW(open_concept_source("manifest:tags"), UsageError);
  for (const char* spec : {"", "clip", "clip:", "model.pt", "Vicha:x"}) {
    try {
      field_of_source(spec);
      FAIL() << spec;
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find("manifest:FIELD"), std::string::npos);
    }
  }
  EXPECT_EQ(field_of_source("manifest:tags"), "tags");
  EXPECT_EQ(field_of_source("clip:x.pt"), std::nullopt);
}

}  // namespace
}  // namespace vicha
