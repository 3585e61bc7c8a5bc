// From raw pictures and captions to an aligned model, through the same calls as `vicha align`.
#include "tasks/align/align_run.h"

#include <nlohmann/json.hpp>

#include "config/serialize.h"
#include "tasks/align/align_world_test.h"
#include "tasks/align/aligned_model.h"
#include "tasks/host/model_files.h"
#include "train/checkpoint_folder.h"

namespace vicha {
namespace {

using Json = nlohmann::json;

class AlignRun : public AlignWorld {
 protected:
  Json evaluated(const fs::path& run, const std::vector<std::string>& settings = {},
                 const ConceptSourceOptions& towers = {.device = "cpu"}) const {
    EvaluateCommand command;
    command.checkpoint = run;
    command.manifest = folder_ / "test.json";
    command.device = "cpu";
    command.settings = settings;
    command.concepts.tower = towers;
    return Json::parse(evaluate_trained(*find_task_kind("retrieval"), command).json);
  }
  std::string weights(const fs::path& checkpoint) const { return read_file(checkpoint / "model.safetensors"); }
};

TEST_F(AlignRun, RawPicturesFarAboveChance) {
  const RunResult result = run_align(align_recipe(), "run");
  ASSERT_TRUE(result.finished);
  ASSERT_FALSE(result.best_checkpoint.empty());
  const Json json = evaluated(folder_ / "run");
  EXPECT_DOUBLE_EQ(json.at("chance").at("text_to_image").at("r1").get<double>(), 12.5);
  EXPECT_GT(json.at("text_to_image").at("r1").get<double>(), 60.0);
  EXPECT_GT(json.at("image_to_text").at("r1").get<double>(), 60.0);
  EXPECT_EQ(json.at("text_to_image"), json.at("itc").at("text_to_image"));
  EXPECT_EQ(json.at("ranking"), "contrast");
  EXPECT_EQ(json.at("k_test"), 0);
  EXPECT_EQ(json.at("checkpoint"), result.best_checkpoint.string()) << "the best of a run, not the last";
  // As judged along the way.
  std::istringstream lines(read_file(folder_ / "run/evaluations.jsonl"));
  bool found = false;
  for (std::string line; std::getline(lines, line);) {
    const Json at = Json::parse(line);
    if (checkpoint_path(folder_ / "run", at.at("step")) != result.best_checkpoint) continue;
    found = true;
    EXPECT_EQ(at.at("text_to_image"), json.at("text_to_image"));
  }
  EXPECT_TRUE(found);
  // Stores that hold the set's features already need no tower.
  fs::remove_all(folder_ / "vit");
  fs::remove_all(folder_ / "bert");
  const std::string features = (folder_ / "run/features").string();
  const Json stored = evaluated(folder_ / "run", {"image_store=" + features + "/eval-pictures.emb",
                                                  "text_store=" + features + "/eval-captions.emb"});
  EXPECT_EQ(stored.at("text_to_image"), json.at("text_to_image"));
}

TEST_F(AlignRun, ResumedRunEndsWithTheSameBits) {
  AlignRecipe r = align_recipe();
  r.align.ema = 0.9;
  const RunResult whole = run_align(r, "whole");
  run_align(r, "parts");
  // As if it had been killed after step 30, and its features had not all been written.
  for (const char* step : {"step-000060", "step-000090"}) fs::remove_all(folder_ / "parts/checkpoints" / step);
  fs::remove(folder_ / "parts/features/eval-captions.emb");
  const RunResult parts = run_align(r, "parts");
  EXPECT_EQ(parts.step, whole.step);
  EXPECT_EQ(weights(parts.last_checkpoint), weights(whole.last_checkpoint));
  for (const char* file : {"optimizer.safetensors", "task.safetensors", "towers.json"}) {
    EXPECT_EQ(read_file(parts.last_checkpoint / file), read_file(whole.last_checkpoint / file)) << file;
  }
  EXPECT_EQ(read_file(folder_ / "parts/evaluations.jsonl"), read_file(folder_ / "whole/evaluations.jsonl"));
  EXPECT_EQ(parts.best_checkpoint.filename(), whole.best_checkpoint.filename());
}

TEST_F(AlignRun, StoresMadeBeforeGiveTheSameModel) {
  const RunResult made = run_align(align_recipe(), "made");
  AlignRecipe r = align_recipe();
  r.features.image_store = (folder_ / "made/features/pictures.emb").string();
  r.features.text_store = (folder_ / "made/features/captions.emb").string();
  const RunResult given = run_align(r, "given");
  EXPECT_EQ(weights(given.last_checkpoint), weights(made.last_checkpoint));
  EXPECT_FALSE(fs::exists(folder_ / "given/features/pictures.emb"));
}

TEST_F(AlignRun, EarlyStoppingKeepsTheBest) {
  AlignRecipe r = align_recipe();
  r.training.checkpoint.every_steps = 10;
  r.training.checkpoint.keep = 1;
  r.training.length.max_steps = 400;
  r.eval.stop.patience = 3;
  r.eval.stop.least_gain = 200;  // nothing is ever better than the first
  const RunResult result = run_align(r, "run");
  EXPECT_TRUE(result.enough);
  EXPECT_EQ(result.step, 40);
  EXPECT_EQ(result.best_checkpoint.filename(), "step-000010");
  EXPECT_EQ(aligned_checkpoint(folder_ / "run"), result.best_checkpoint);
  EXPECT_EQ(list_checkpoints(folder_ / "run").size(), 2U);
}

TEST_F(AlignRun, WhatHasChangedIsRefusedByBothSides) {
  AlignRecipe r = align_recipe();
  r.training.length.max_steps = 30;
  run_align(r, "run");
  r.training.length.max_steps = 60;
  const auto go_on = [&] { run_align(r, "run"); };

  const fs::path picture = folder_ / "images/red0.png";
  const std::string before = read_file(picture);
  fs::copy_file(folder_ / "images/blue1.png", picture, fs::copy_options::overwrite_existing);
  std::string message = refusal_of(go_on);
  EXPECT_TRUE(says(message, "was trained on other features of pictures: their files had content"));
  EXPECT_TRUE(says(message, "--allow-changed-data"));
  write_file_atomic(picture, before);

  fs::rename(folder_ / "vit", folder_ / "old");
  write_vit("vit", 0.5);
  message = refusal_of(go_on);
  EXPECT_TRUE(says(message, "pictures.emb")) << "the store is the old tower's";
  EXPECT_TRUE(says(message, "this tower is vit"));
  fs::remove(folder_ / "run/features/pictures.emb");
  fs::remove(folder_ / "run/features/eval-pictures.emb");
  message = refusal_of(go_on);
  EXPECT_TRUE(says(message, "was trained on features of pictures by vit"));
  EXPECT_TRUE(says(message, "and the run would now read those of vit"));

  // Weights that have only moved are the same tower.
  r.features.image_tower = "vit:" + (folder_ / "old").string();
  fs::remove_all(folder_ / "run/features");
  EXPECT_TRUE(run_align(r, "run").finished);
}

TEST_F(AlignRun, BadSetsOfFeaturesAreSaidToBeSo) {
  run_align(align_recipe(), "made");
  AlignRecipe r = align_recipe();
  r.features.image_store = (folder_ / "made/features/pictures.emb").string();
  write_manifest("more.json", 8, 0);  // two copies more of each colour
  r.data.manifests = {(folder_ / "more.json").string()};
  std::string message = refusal_of([&] { run_align(r, "lacks"); });
  EXPECT_TRUE(says(message, "16 of its 64 pictures have no features"));
  EXPECT_TRUE(says(message, "vicha embed"));

  r = align_recipe();
  r.features.image_store = (folder_ / "made/features/pictures.emb").string();
  write_vit("other", 0.5);
  r.features.image_tower = "vit:" + (folder_ / "other").string();
  message = refusal_of([&] { run_align(r, "other"); });
  EXPECT_TRUE(says(message, "holds features of vit"));
  EXPECT_TRUE(says(message, "and the tower is vit"));

  r = align_recipe();
  r.features.image_store = (folder_ / "made/features/pictures.emb").string();
  fs::copy_file(folder_ / "images/blue1.png", folder_ / "images/red0.png", fs::copy_options::overwrite_existing);
  message = refusal_of([&] { run_align(r, "changed"); });
  EXPECT_TRUE(says(message, "holds features of another picture under the name \"images/red0.png\""));

  r = align_recipe();
  r.features.text_store = (folder_ / "made/features/pictures.emb").string();
  message = refusal_of([&] { run_align(r, "kind"); });
  EXPECT_TRUE(says(message, "features of texts"));
}

TEST_F(AlignRun, UnreadablePicturesAreLeftOut) {
  write_file_atomic(folder_ / "images/red3.png", "no picture");
  AlignRecipe r = align_recipe();
  r.features.views = "flip";
  EXPECT_TRUE(run_align(r, "run").finished);
  const TowerRecord towers = read_tower_record(folder_ / "run/checkpoints/step-000090");
  EXPECT_EQ(towers.image.items, 47);
  EXPECT_EQ(towers.text.items, 8);
}

TEST_F(AlignRun, OtherCommandsSayWhatItIs) {
  run_align(align_recipe(), "run");
  EXPECT_TRUE(says(refusal_of([&] { load_trained(folder_ / "run", "cpu"); }), "aligned:RUN"));
  // Where the towers are now.
  fs::rename(folder_ / "vit", folder_ / "moved");
  EXPECT_TRUE(says(refusal_of([&] { evaluated(folder_ / "run"); }), "--image-tower SPEC"));
  write_vit("other", 0.5);
  std::string message = refusal_of(
      [&] { evaluated(folder_ / "run", {}, {.device = "cpu", .image_tower = "vit:" + (folder_ / "other").string()}); });
  EXPECT_TRUE(says(message, "was trained on vit"));
  evaluated(folder_ / "run", {}, {.device = "cpu", .image_tower = "vit:" + (folder_ / "moved").string()});
}

TEST(AlignRecipes, WhatDoesNotFitIsRefusedByItsKeys) {
  const auto refused = [](const std::vector<std::string>& set) {
    AlignRecipe r;
    apply_overrides(r, set);
    try {
      r.finish();
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refused({"data.manifests=[\"a.json\"]"}).find("features.image_tower"), std::string::npos);
  EXPECT_NE(refused({"data.manifests=[\"a.json\"]", "features.image_store=a.emb"}).find("features.text_tower"),
            std::string::npos);
  EXPECT_NE(refused({"eval.patience=2"}).find("eval.manifest"), std::string::npos);
  EXPECT_NE(refused({"features.views=turn"}).find("features.views = turn"), std::string::npos);
  EXPECT_NE(refused({"features.views=flip", "features.image_store=a.emb"}).find("features.views"), std::string::npos);
  EXPECT_NE(refused({"align.contrast.temperature=0.005"}).find("min_temperature"), std::string::npos);
  EXPECT_EQ(refused({}), "");
  const RetrievalMetrics m{.text = {1, 2, 3}, .image = {5, 6, 7}};
  EXPECT_DOUBLE_EQ(score_of(m, AlignScore::kR1), 3);
  EXPECT_DOUBLE_EQ(score_of(m, AlignScore::kMean), 4);
  EXPECT_DOUBLE_EQ(score_of(m, AlignScore::kTextR10), 7);
  EXPECT_DOUBLE_EQ(score_of(m, AlignScore::kImageR1), 1);
}

}  // namespace
}  // namespace vicha
