// Training on stored features of patches, from pictures on disk to an evaluated model; and pupils of an aligned model.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "checkpoint/safetensors/safetensors.h"
#include "features/feature_embed.h"
#include "objectives/teach.h"
#include "tasks/concepts/concept_sources.h"
#include "tasks/host/feature_tower.h"
#include "tasks/host/model_files.h"
#include "tasks/pretrain/colour_world_test.h"
#include "tasks/retrieval/retrieval.h"

namespace vicha {
namespace {

class FeaturesRun : public ColourWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    make_tower("tower", 1.0);
    embed("train.json", "train.fst", tower());
  }
  std::string tower() const { return (folder_ / "tower").string(); }
  std::string store() const { return (folder_ / "train.fst.patches").string(); }

  /// A tiny ViT of random weights: 4 x 4 patches of 48 numbers.
  void make_tower(const std::string& name, double scale) const {
    const fs::path golden = fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/towers";
    fs::create_directories(folder_ / name);
    fs::copy_file(golden / "vit_tiny_hf.config.json", folder_ / name / "config.json");
    StateDict weights;
    for (const auto& [key, tensor] : read_safetensors(golden / "vit_tiny_hf.safetensors")) {
      weights.set(key, tensor.to(at::kFloat) * scale);
    }
    write_safetensors(folder_ / name / "model.safetensors", weights);
  }
  void embed(const std::string& manifest, const std::string& out, const std::string& spec) const {
    const auto encoder = PictureEncoder::open(spec, "cpu");
    FeatureEmbedOptions options;
    options.patches = true;
    options.views = {PictureView(), PictureView{.flip = true}};
    embed_features(*encoder, list_images({folder_ / manifest}), folder_ / out, options);
  }
  PretrainRecipe on_features() const {
    PretrainRecipe r = recipe();
    r.model.vit.picture.input = PictureInput::kFeatures;
    r.data.features.store = store();
    r.data.features.tower = tower();
    r.eval.manifest = (folder_ / "test.json").string();
    r.eval.k_test = 4;
    return r;
  }
  template <class Call>
  static std::string message_of(Call&& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  static nlohmann::json evaluation(const fs::path& checkpoint, const fs::path& manifest) {
    LoadedModel loaded = load_trained(checkpoint, "cpu");
    const TaskKind kind = retrieval_kind();
    EvaluateCommand command;
    command.checkpoint = checkpoint;
    command.manifest = manifest;
    command.settings = {"k_test=4"};
    auto json = nlohmann::json::parse(kind.evaluate(loaded, command).json);
    json.erase("seconds");
    return json;
  }
};

TEST_F(FeaturesRun, LearnsColoursFromAFrozenTower) {
  PretrainRecipe r = on_features();
  r.training.length.max_steps = 200;
  r.training.checkpoint.every_steps = 200;
  const RunResult result = run(r, "colours");
  ASSERT_TRUE(result.finished);
  const LoadedModel loaded = load_trained(result.last_checkpoint, "cpu");
  EXPECT_EQ(loaded.recipe->model.vit.picture.rows, 4);
  EXPECT_EQ(loaded.recipe->model.vit.picture.width, 48);
  ASSERT_TRUE(loaded.tower);
  EXPECT_EQ(loaded.tower->kind, "vit");
  const auto found = evaluation(result.last_checkpoint, folder_ / "test.json");
  EXPECT_GT(found.at("itc").at("text_to_image").at("r1").get<double>(), 60.0);
}

TEST_F(FeaturesRun, ResumedRunEndsWithTheSameBits) {
  const RunResult a = run(on_features(), "whole");
  run(on_features(), "parts");
  fs::remove_all(folder_ / "parts" / "checkpoints" / a.last_checkpoint.filename());
  const RunResult b = run(on_features(), "parts");
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "recipe.toml", kFeatureTowerFile}) {
    EXPECT_EQ(read_file(a.last_checkpoint / file), read_file(b.last_checkpoint / file)) << file;
  }
  EXPECT_EQ(read_file(folder_ / "whole" / "evaluations.jsonl"), read_file(folder_ / "parts" / "evaluations.jsonl"));
}

TEST_F(FeaturesRun, RawPicturesAreEvaluatedAsStoredOnes) {
  const fs::path checkpoint = run(on_features(), "run").last_checkpoint;
  const auto stored = evaluation(checkpoint, folder_ / "train.json");
  fs::rename(store(), folder_ / "elsewhere");
  fs::rename(folder_ / "train.fst", folder_ / "elsewhere.pooled");
  const auto raw = evaluation(checkpoint, folder_ / "train.json");
  EXPECT_EQ(stored, raw);
  const auto again = evaluation(checkpoint, folder_ / "train.json");  // from the cache beside the manifest
  EXPECT_EQ(again, raw);
}

TEST_F(FeaturesRun, AModelWithoutConceptsIsASourceOfConcepts) {
  PretrainRecipe r = on_features();
  r.model.concepts.enabled = r.data.concepts.enabled = false;
  const fs::path checkpoint = run(r, "plain").last_checkpoint;
  const auto source = open_concept_source("vicha:" + checkpoint.string(), {.device = "cpu"});
  EXPECT_EQ(source->side(), 64);
  const LoadedModel loaded = load_trained(checkpoint, "cpu");
  const FeatureStore features = FeatureStore::open(store(), FeatureKind::kPatches);
  const ImageList list = list_images({folder_ / "train.json"});
  at::Tensor pixels = at::empty({5, 3, 64, 64});
  std::vector<std::int64_t> records;
  for (std::int64_t i = 0; i < 5; ++i) {
    const std::string file = read_file(fs::path(list.path(i)));
    source->prepare({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}, "picture",
                    {pixels.data_ptr<float>() + i * 3 * 64 * 64, 3 * 64 * 64});
    records.push_back(*features.store().find(list.keys[static_cast<std::size_t>(i)]));
  }
  const at::Tensor rows = features.gather(records, std::vector<std::int64_t>(5, 0));
  const Encoders& online = loaded.vicha().online();
  const at::Tensor plain =
      online.vision_proj(online.encode_image({patch_rows(rows, loaded.vicha().options().vit), 5}, Dropout()).cls);
  // The store rounded to fp16.
  EXPECT_TRUE(at::allclose(source->embed_images(pixels), plain, 1e-2, 1e-2));
}

TEST_F(FeaturesRun, GoesOnFromAnotherGridAndFromPixels) {
  const fs::path square = run(on_features(), "square").last_checkpoint;
  StateDict weights = read_safetensors(square / "model.safetensors");
  PretrainRecipe r = on_features();
  r.training.length.max_steps = 1;
  // As of a model of 2 x 3 patches: its recipe says so, its positions are as many.
  const fs::path other = folder_ / "other";
  fs::create_directories(other);
  std::string text = read_file(square / "recipe.toml");
  for (const auto& [from, to] : {std::pair("rows = 4", "rows = 2"), std::pair("columns = 4", "columns = 3")}) {
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, std::string(from).size(), to);
  }
  write_file_atomic(other / "recipe.toml", text);
  for (const char* name : {"visual_encoder.pos_embed", "visual_encoder_m.pos_embed"}) {
    weights.set(name, at::randn({1, 7, 32}));
  }
  write_safetensors(other / "model.safetensors", weights);
  r.init.checkpoint = other.string();
  r.finish();
  r.read_sizes("cpu");
  TaskModel model(r.model, r.objectives, 3);
  initialise_model(model, r.init);
  const at::Tensor now = model.vicha().parameters().parameter("visual_encoder.pos_embed").value;
  const at::Tensor grid = weights.at("visual_encoder.pos_embed").slice(1, 1).view({1, 2, 3, 32}).permute({0, 3, 1, 2});
  EXPECT_TRUE(at::allclose(now.slice(1, 1).view({1, 4, 4, 32}).permute({0, 3, 1, 2}),
                           at::upsample_bicubic2d(grid.contiguous(), {4, 4}, false), 1e-5, 1e-5));

  // From pixels: everything but the map of the patches, and MAE's head, whose sizes are others.
  PretrainRecipe pixels = recipe();
  pixels.objectives.at("mae").enabled = false;
  r.objectives.at("mae").enabled = false;
  r.init.checkpoint = run(pixels, "pixels").last_checkpoint.string();
  EXPECT_TRUE(run(r, "from_pixels").finished);
}

TEST_F(FeaturesRun, ChangedPicturesAreNamed) {
  const std::string picture = (folder_ / "images" / "red2.png").string();
  write_file_atomic(picture, encode_png(Image(24, 24, 3)));
  const std::string message = message_of([&] { run(on_features(), "changed"); });
  EXPECT_NE(message.find("red2.png"), std::string::npos) << message;
  EXPECT_NE(message.find("train.fst.patches"), std::string::npos) << message;
  PretrainRecipe trusting = on_features();
  trusting.data.features.trust_names = true;
  trusting.training.length.max_steps = 1;
  EXPECT_TRUE(run(trusting, "trusting").finished);
  fs::remove(picture);
  EXPECT_NE(message_of([&] { run(on_features(), "gone"); }).find("red2.png"), std::string::npos);
}

TEST_F(FeaturesRun, WhatDoesNotFitIsNamed) {
  const auto refused = [&](const std::function<void(PretrainRecipe&)>& change, std::vector<std::string> parts) {
    PretrainRecipe r = on_features();
    change(r);
    const std::string message = message_of([&] { run(r, fmt::format("refused{}", parts.front())); });
    for (const std::string& part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  refused([](PretrainRecipe& r) { r.data.features.store.clear(); }, {"data.features.store"});
  refused([](PretrainRecipe& r) { r.model.vit.picture.input = PictureInput::kPixels; }, {"model.image.input"});
  refused([](PretrainRecipe& r) { r.model.vit.picture.rows = 5; }, {"model.image.rows = 5", "train.fst.patches"});
  refused([&](PretrainRecipe& r) { r.data.features.store = (folder_ / "train.fst").string(); }, {"train.fst"});
  make_tower("other_tower", 0.5);
  refused([&](PretrainRecipe& r) { r.data.features.tower = (folder_ / "other_tower").string(); },
          {"train.fst.patches", "other_tower"});
  // Pictures that are to be evaluated need the tower; training does not.
  refused([](PretrainRecipe& r) { r.data.features.tower.clear(); }, {"data.features.tower"});
  PretrainRecipe without = on_features();
  without.data.features.tower.clear();
  without.eval.manifest.clear();
  without.training.length.max_steps = 1;
  EXPECT_TRUE(run(without, "without").finished);

  write_manifest("more.json", 40, 200);
  refused([&](PretrainRecipe& r) { r.data.manifests = {(folder_ / "more.json").string()}; },
          {"more.json", "train.fst.patches"});
}

TEST_F(FeaturesRun, AnotherTowersFeaturesDoNotGoOnWithARun) {
  PretrainRecipe r = on_features();
  r.training.length.max_steps = 3;
  run(r, "run");
  make_tower("other_tower", 0.5);
  embed("train.json", "other.fst", (folder_ / "other_tower").string());
  r.training.length.max_steps = 6;
  r.data.features = {(folder_ / "other.fst.patches").string(), (folder_ / "other_tower").string(), false};
  const std::string message = message_of([&] { run(r, "run"); });
  EXPECT_NE(message.find("other.fst.patches"), std::string::npos) << message;
  EXPECT_NE(message.find("step-000003"), std::string::npos) << message;
}

TEST_F(FeaturesRun, APupilOfAnotherModelLearnsItsDirections) {
  PretrainRecipe first = on_features();
  first.model.concepts.enabled = first.data.concepts.enabled = false;
  first.eval.manifest.clear();
  run(first, "teacher");
  PretrainRecipe pupil = recipe();
  pupil.model.embed_dim = 12;  // the teacher's space has 16
  pupil.objectives.enable_only({"itc", "teach"});
  auto& teach = pupil.objectives.get<TeachOptions>();
  teach.source = "vicha:" + (folder_ / "teacher").string();
  const RunResult whole = run(pupil, "pupil");
  const StateDict weights = read_safetensors(whole.last_checkpoint / "model.safetensors");
  EXPECT_EQ(weights.at("teach_image.weight").sizes(), (at::IntArrayRef{16, 12}));
  const std::string metrics = read_file(folder_ / "pupil" / "metrics.jsonl");
  EXPECT_NE(metrics.find("\"teach\""), std::string::npos);
  EXPECT_TRUE(load_trained(whole.last_checkpoint, "cpu").parts);

  // The stores that it made serve another pupil, without the teacher; and resuming changes no bit.
  teach.source.clear();
  teach.pictures = (folder_ / "pupil" / "teach-pictures.emb").string();
  teach.captions = (folder_ / "pupil" / "teach-captions.emb").string();
  run(pupil, "parts");
  fs::remove_all(folder_ / "parts" / "checkpoints" / whole.last_checkpoint.filename());
  const RunResult parts = run(pupil, "parts");
  EXPECT_EQ(read_file(whole.last_checkpoint / "model.safetensors"),
            read_file(parts.last_checkpoint / "model.safetensors"));

  // A picture that has changed under its name is not what the teacher saw.
  const fs::path picture = folder_ / "images/red0.png";
  const std::string before = read_file(picture);
  write_file_atomic(picture, before + "more");
  const std::string stale = message_of([&] { run(pupil, "stale"); });
  EXPECT_NE(stale.find(picture.filename().string()), std::string::npos) << stale;
  EXPECT_NE(stale.find("holds the teacher's vectors of (one such picture)"), std::string::npos) << stale;
  EXPECT_NE(stale.find("teach.trust_names=true"), std::string::npos) << stale;
  teach.trust_names = true;
  run(pupil, "stale");
  teach.trust_names = false;
  write_file_atomic(picture, before);

  write_manifest("more.json", 1, 300);
  pupil.data.manifests.push_back((folder_ / "more.json").string());
  const std::string message = message_of([&] { run(pupil, "missing"); });
  EXPECT_NE(message.find("teach-pictures.emb"), std::string::npos) << message;
  EXPECT_NE(message.find("red300.png"), std::string::npos) << message;

  teach.pictures.clear();
  const std::string none = message_of([&] { run(pupil, "none"); });
  EXPECT_NE(none.find("teach.source"), std::string::npos) << none;
}

}  // namespace
}  // namespace vicha
