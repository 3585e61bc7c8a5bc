// From pictures on disk to a trained, evaluated model, through the same calls as the command line.
#include "tasks/pretrain.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "checkpoint/safetensors.h"
#include "config/recipe.h"
#include "data/loader.h"
#include "image/decode.h"
#include "nn/kernel_choice.h"
#include "tasks/model_files.h"
#include "tasks/retrieval.h"

namespace vicha {
namespace {

const std::vector<std::pair<std::string, std::array<int, 3>>> kColours = {
    {"red", {220, 30, 30}},  {"green", {30, 180, 40}},   {"blue", {30, 40, 220}},    {"yellow", {230, 220, 40}},
    {"black", {10, 10, 10}}, {"white", {245, 245, 245}}, {"purple", {140, 40, 160}}, {"orange", {240, 140, 20}}};

class PretrainRun : public testing::Test {
 protected:
  void SetUp() override {
    set_matmul_kernel("blas");
    log::set_level(log::Level::kError);
    folder_ = fs::temp_directory_path() / ("vicha_pretrain_" + std::to_string(::getpid()));
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

  /// `copies` pictures of each colour, a little different each.
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
    return pretrain({r, folder_ / out, ResumeChoice::parse(resume), "cpu"});
  }

  fs::path folder_;
};

TEST_F(PretrainRun, LearnsColoursFarAboveChance) {
  PretrainRecipe r = recipe();
  r.training.length.max_steps = 300;
  r.training.checkpoint.every_steps = 300;
  const RunResult result = run(r, "colours");
  ASSERT_TRUE(result.finished);
  const LoadedModel loaded = load_trained(result.last_checkpoint, "cpu");
  DataOptions data = loaded.recipe.data;
  data.manifests = {(folder_ / "test.json").string()};
  const auto set = std::make_shared<const EvaluationSet>(load_manifests(data), loaded.tokenizer, data);
  const RetrievalResult found = evaluate_retrieval(*loaded.model, set, {.k_test = 4, .batch_size = 8});
  EXPECT_DOUBLE_EQ(found.chance.image.r1, 12.5);
  EXPECT_GT(found.itc.image.r1, 60.0);
  EXPECT_GT(found.itc.text.r1, 60.0);
  EXPECT_GE(found.reranked.image.r5, found.itc.image.r1);
  ASSERT_FALSE(found.text_queries.empty());
  EXPECT_EQ(found.text_queries[0].query, "a red picture");
}

TEST_F(PretrainRun, PicturesThatDoNotFitInMemoryAreReadAgain) {
  const LoadedModel loaded = load_trained(run(recipe(), "short").last_checkpoint, "cpu");
  DataOptions data = loaded.recipe.data;
  data.manifests = {(folder_ / "train.json").string()};
  const auto set = std::make_shared<const EvaluationSet>(load_manifests(data), loaded.tokenizer, data);
  RetrievalOptions how{.k_test = 4, .batch_size = 7};
  RetrievalResult kept = evaluate_retrieval(*loaded.model, set, how);
  how.memory_mib = 0;
  RetrievalResult again = evaluate_retrieval(*loaded.model, set, how);
  kept.seconds = again.seconds = 0;
  EXPECT_EQ(kept.to_json(), again.to_json());
}

TEST_F(PretrainRun, ResumedRunEndsWithTheSameBits) {
  PretrainRecipe whole = recipe();
  whole.eval.manifest = (folder_ / "test.json").string();
  const RunResult a = run(whole, "whole");
  run(whole, "parts");
  // As if the run had been killed after step 3: what came later is gone.
  fs::remove_all(folder_ / "parts" / "checkpoints" / a.last_checkpoint.filename());
  const RunResult b = run(whole, "parts");
  EXPECT_EQ(read_file(a.last_checkpoint / "model.safetensors"), read_file(b.last_checkpoint / "model.safetensors"));
  EXPECT_EQ(read_file(a.last_checkpoint / "optimizer.safetensors"),
            read_file(b.last_checkpoint / "optimizer.safetensors"));
  EXPECT_EQ(read_file(folder_ / "whole" / "evaluations.jsonl"), read_file(folder_ / "parts" / "evaluations.jsonl"));
}

TEST_F(PretrainRun, FrozenTextStaysAsItIs) {
  PretrainRecipe r = recipe();
  r.freeze = {"text"};
  r.init.text_projection = "whiten";
  const RunResult result = run(r, "frozen");
  const StateDict first = read_safetensors(folder_ / "frozen" / "checkpoints" / "step-000003" / "model.safetensors");
  const StateDict last = read_safetensors(result.last_checkpoint / "model.safetensors");
  const std::string name = "bert.encoder.layer.0.output.dense.weight";
  EXPECT_TRUE(at::equal(first.at("text_encoder." + name), last.at("text_encoder." + name)));
  EXPECT_TRUE(at::equal(last.at("text_encoder." + name), last.at("text_encoder_m." + name)));
  EXPECT_FALSE(at::equal(first.at("visual_encoder.norm.weight"), last.at("visual_encoder.norm.weight")));
}

TEST_F(PretrainRun, ObjectivesSetInWhenTheRecipeSays) {
  PretrainRecipe r = recipe();
  r.objectives.itm.start = r.objectives.mae.start = 0.5;
  run(r, "late");
  const std::string metrics = read_file(folder_ / "late" / "metrics.jsonl");
  const std::string first = metrics.substr(0, metrics.find('\n')),
                    last = metrics.substr(metrics.rfind('\n', metrics.size() - 2) + 1);
  EXPECT_EQ(first.find("\"itm\""), std::string::npos);
  EXPECT_EQ(first.find("\"mae\""), std::string::npos);
  EXPECT_NE(last.find("\"itm\""), std::string::npos);
  EXPECT_NE(last.find("\"mae\""), std::string::npos);
}

TEST_F(PretrainRun, StartsFromACheckpointOfAnotherPictureSize) {
  const RunResult small = run(recipe(), "small");
  PretrainRecipe r = recipe();
  r.model.vit.image_res = 32;
  r.init.checkpoint = small.last_checkpoint.string();
  r.training.length.max_steps = 1;
  EXPECT_TRUE(run(r, "larger").finished);
  PretrainRecipe other = recipe();
  other.model.vit.width = 48;
  other.init.checkpoint = small.last_checkpoint.string();
  EXPECT_THROW(run(other, "other"), DataError);
}

TEST_F(PretrainRun, BadInputIsNamed) {
  const auto message = [&](const PretrainRecipe& r) -> std::string {
    try {
      run(r, "bad");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  PretrainRecipe no_vocabulary = recipe();
  no_vocabulary.init.vocabulary = "";
  EXPECT_NE(message(no_vocabulary).find("init.vocabulary"), std::string::npos);
  PretrainRecipe other_vocabulary = recipe();
  other_vocabulary.model.text.vocabulary = 17;
  EXPECT_NE(message(other_vocabulary).find("vocab.txt"), std::string::npos);
  PretrainRecipe unknown_part = recipe();
  unknown_part.freeze = {"texts"};
  EXPECT_NE(message(unknown_part).find("texts"), std::string::npos);
  PretrainRecipe mismatch = recipe();
  mismatch.data.transform.image_res = 48;
  EXPECT_NE(message(mismatch).find("model.vit.image_res"), std::string::npos);
  EXPECT_THROW(load_trained(folder_ / "nowhere", "cpu"), DataError);
}

}  // namespace
}  // namespace vicha
