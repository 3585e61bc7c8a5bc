// Targets of regions from manifests and stores, and whole runs over them.
#include "tasks/pretrain/region_data.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "checkpoint/safetensors/safetensors.h"
#include "data/manifest/rewrite.h"
#include "tasks/host/model_files.h"
#include "tasks/pretrain/colour_world_test.h"
#include "tasks/pretrain/region_eval.h"
#include "tasks/retrieval/retrieval_recipe.h"

namespace vicha {
namespace {

/// Region 0 lies three quarters in cell 0; region 1 half in cell 0, half in cell 1 (the first counts); region 2 for 0.4
/// in cell 1, the rest outside.
TEST(RegionsSeen, TakeTheTagOfTheLargestShare) {
  const std::vector<float> shares = {0.75F, 0.25F, 0.5F, 0.5F, 0.0F, 0.4F};
  EXPECT_EQ(tags_seen(shares, {7, 3}), (std::vector<std::int64_t>{7, 7, -1}));
  EXPECT_EQ(tags_seen(shares, {-1, 3}), (std::vector<std::int64_t>{-1, -1, -1}));
}

/// Cells (3, 0) and (0, 2) have directions (1, 0) and (0, 1): shares 3/4 and 1/4 give (3, 1)/sqrt(10).
TEST(RegionsSeen, AverageFeaturesByArea) {
  const at::Tensor stored = at::tensor(std::vector<float>{3, 0, 0, 2}).view({2, 2});
  const at::Tensor seen = features_seen({0.75F, 0.25F, 0.0F, 0.0F, 1.0F, 0.0F}, stored);
  const float root = std::sqrt(10.0F);
  const at::Tensor expected = at::tensor(std::vector<float>{3 / root, 1 / root, 0, 0, 1, 0}).view({3, 2});
  EXPECT_TRUE(at::allclose(seen, expected, 1e-6, 1e-6)) << seen;
}

TEST(RegionsSeen, ReadViewsOfStoredFeatures) {
  const auto views = seen_by_views("whole; flipped; part 0.10 0.20 0.50 0.40; part 0.10 0.20 0.50 0.40, flipped");
  ASSERT_EQ(views.size(), 4u);
  EXPECT_EQ(views[0], SeenPart());
  EXPECT_EQ(views[1], (SeenPart{{-1, 0, 1, 0, 1, 0}}));
  EXPECT_EQ(views[2], (SeenPart{{0.4, 0, 0.2, 0, 0.5, 0.1}}));
  // The left of what is seen is the right of the part.
  EXPECT_NEAR(views[3].m[0], -0.4, 1e-12);
  EXPECT_NEAR(views[3].m[2], 0.6, 1e-12);
  EXPECT_EQ(seen_by_views("").size(), 1u);
  EXPECT_TRUE(seen_by_views("whole; upside down").empty());
}

std::string error_of(const std::function<void()>& what) {
  try {
    what();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(TagVocabularies, ThatDifferAreRefusedNamingBoth) {
  const TagVocabulary before({"cat", "dog"}), now({"cat", "worm", "dog"});
  EXPECT_EQ(before.find("dog"), 1);
  EXPECT_EQ(before.find("worm"), -1);
  require_same_tags(before, "a", before, "b");
  const std::string error = error_of([&] { require_same_tags(before, "old.json", now, "new.json"); });
  for (const char* part : {"old.json", "new.json", "\"dog\"", "\"worm\"", "3 and 2"}) {
    EXPECT_NE(error.find(part), std::string::npos) << part << " in " << error;
  }
  EXPECT_NE(error_of([&] { grid_side(5, "m.json, record 3"); }).find("m.json, record 3"), std::string::npos);
  EXPECT_EQ(grid_side(9, ""), 3);
}

TEST(Pointing, IsWhereMiddlesMeet) {
  const GridSize grid{2, 2};
  EXPECT_TRUE(points_at(0, grid, {0.2, 0.2, 0.1, 0.1}));  // the region's middle in the box
  EXPECT_TRUE(points_at(3, grid, {0.9, 0.9, 0.1, 0.1}));  // the box's middle in the region
  EXPECT_FALSE(points_at(0, grid, {0.6, 0.0, 0.4, 0.4}));
  EXPECT_FALSE(points_at(1, grid, {0.0, 0.5, 0.4, 0.5}));
  const std::vector<std::int64_t> text = {2, 9, 5, 6, 5, 7};
  EXPECT_EQ(find_words(text, std::vector<std::int64_t>{5, 7}), 4);
  EXPECT_EQ(find_words(text, std::vector<std::int64_t>{2}), -1) << "[CLS] is not a word";
  EXPECT_EQ(find_words(text, std::vector<std::int64_t>{}), -1);
}

class RegionRuns : public ColourWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    tag("train.json", "train.tagged.json");
    tag("test.json", "test.tagged.json");
  }

  /// Cells of a 2 x 2 grid: the picture's colour, nothing, the colour, "thing".
  void tag(const std::string& from, const std::string& to, const std::string& last = "thing") const {
    rewrite_manifest(folder_ / from, folder_ / to, [&](nlohmann::ordered_json& record, std::int64_t) {
      const std::string caption = record.at("caption").get<std::string>();
      const std::string colour = caption.substr(2, caption.find(' ', 2) - 2);
      record["region_tags"] = {colour, nullptr, colour, last};
      record["kwords"] = {colour, "thing"};
      return true;
    });
  }

  PretrainRecipe regions() const {
    PretrainRecipe r = recipe();
    r.model.fusion.kind = FusionKind::kJoint;
    r.model.regions.rows = r.model.regions.columns = 3;
    r.objectives.enable_only({"ita", "irta", "ira", "mrm", "mtm"});
    apply_overrides(r, {"mrm.target=pixels", "data.concepts.random_share=0"});
    r.data.manifests = {(folder_ / "train.tagged.json").string()};
    return r;
  }
};

TEST_F(RegionRuns, TrainResumeToTheSameBitsAndKeepTheirTags) {
  const fs::path whole = run(regions(), "whole").last_checkpoint;
  PretrainRecipe half = regions();
  half.training.length.max_steps = 3;
  run(half, "halves");
  const fs::path resumed = run(regions(), "halves").last_checkpoint;
  EXPECT_EQ(read_file(whole / "model.safetensors"), read_file(resumed / "model.safetensors"));
  const auto tags = TagVocabulary::of_checkpoint(whole);
  ASSERT_TRUE(tags);
  EXPECT_EQ(tags->size(), 9);
  // One region of each of 48 pictures; then two of each of 6, by name.
  EXPECT_EQ(tags->word(0), "thing");
  EXPECT_EQ(tags->word(1), "black");
  EXPECT_EQ(tags->word(8), "yellow");
  EXPECT_EQ(load_trained(whole, "cpu").recipe->model.regions.tags, 9);
}

TEST_F(RegionRuns, RefuseOtherTags) {
  PretrainRecipe first = regions();
  first.training.length.max_steps = 3;
  const fs::path before = run(first, "first").last_checkpoint;
  tag("train.json", "other.json", "object");
  PretrainRecipe other = regions();
  other.data.manifests = {(folder_ / "other.json").string()};
  PretrainRecipe started = other;
  started.init.checkpoint = (folder_ / "first").string();
  const std::string error = error_of([&] { run(started, "second"); });
  EXPECT_NE(error.find("region_tags.json"), std::string::npos) << error;
  EXPECT_NE(error.find("other.json"), std::string::npos) << error;
  // Without the head that tells them, other tags are none of its business.
  started.objectives.enable_only({"ita", "irta"});
  EXPECT_EQ(error_of([&] { run(started, "third"); }), "");
}

TEST_F(RegionRuns, SayWhatManifestsLack) {
  PretrainRecipe untagged = regions();
  untagged.data.manifests = {(folder_ / "train.json").string()};
  EXPECT_NE(error_of([&] { run(untagged, "a"); }).find("\"region_tags\" is missing"), std::string::npos);
  rewrite_manifest(folder_ / "train.json", folder_ / "five.json", [&](nlohmann::ordered_json& record, std::int64_t) {
    record["region_tags"] = {"red", nullptr, nullptr, nullptr, "red"};
    return true;
  });
  PretrainRecipe five = regions();
  five.data.manifests = {(folder_ / "five.json").string()};
  const std::string error = error_of([&] { run(five, "b"); });
  EXPECT_NE(error.find("five.json, record 0"), std::string::npos) << error;
  rewrite_manifest(folder_ / "train.json", folder_ / "none.json", [&](nlohmann::ordered_json& record, std::int64_t) {
    record["region_tags"] = {nullptr};
    return true;
  });
  PretrainRecipe none = regions();
  none.data.manifests = {(folder_ / "none.json").string()};
  EXPECT_NE(error_of([&] { run(none, "c"); }).find("no region with a tag"), std::string::npos);
  PretrainRecipe featureless = none;  // told before the manifest, let alone the model
  apply_overrides(featureless, {"mrm.target=feature"});
  EXPECT_NE(error_of([&] { run(featureless, "d"); }).find("data.regions.store"), std::string::npos);
}

TEST_F(RegionRuns, CombineWithThePapersObjectives) {
  PretrainRecipe all = regions();
  all.objectives.enable_only({"itc", "hitc", "itm", "mlm", "mae", "ita", "irta", "ira", "mrm", "mtm"});
  EXPECT_EQ(error_of([&] { run(all, "all"); }), "");
  PretrainRecipe vicha = recipe();
  vicha.objectives.at("irta").enabled = true;
  EXPECT_EQ(error_of([&] { run(vicha, "vicha"); }), "");
  RetrievalRecipe fine;
  fine.objectives.at("mtm").enabled = true;
  fine.model = regions().model;
  fine.data = regions().data;
  fine.init.vocabulary = (folder_ / "vocab.txt").string();
  const std::string refused = error_of([&] { fine.finish(); });
  EXPECT_NE(refused.find("pretrain with it"), std::string::npos) << refused;
}

TEST_F(RegionRuns, AreEvaluated) {
  run(regions(), "run");
  const EvaluateCommand command{
      .checkpoint = folder_ / "run", .manifest = folder_ / "test.tagged.json", .image_root = "", .device = "cpu"};
  const auto json = nlohmann::json::parse(evaluate_trained(regions_kind(), command).json);
  EXPECT_EQ(json.at("images"), 8);
  EXPECT_GT(json.at("mtm").at("regions"), 0);
  EXPECT_GE(json.at("mtm").at("top5"), json.at("mtm").at("accuracy"));
  EXPECT_NEAR(json.at("irta").at("chance").at("text_to_image").at("r1").get<double>(), 12.5, 1e-3);
  EXPECT_TRUE(json.at("irta").contains("regions_alone"));
  EXPECT_FALSE(json.contains("pointing"));
  std::string boxes = "{";
  for (const auto& [colour, rgb] : kColours) {
    boxes += (boxes.size() > 1 ? ", " : "") +
             ("\"images/" + colour + "100.png\": [{\"name\": \"" + colour + "\", \"bbox\": [0, 0, 24, 24]}]");
  }
  write_file_atomic(folder_ / "boxes.json", boxes + "}");
  EvaluateCommand pointing = command;
  pointing.settings = {"boxes=" + (folder_ / "boxes.json").string()};
  const auto with_boxes = nlohmann::json::parse(evaluate_trained(regions_kind(), pointing).json);
  EXPECT_EQ(with_boxes.at("pointing").at("words"), 8);
  EXPECT_EQ(with_boxes.at("pointing").at("accuracy"), 100.0) << "everything is the object";
  EXPECT_EQ(with_boxes.at("pointing").at("chance"), 100.0);
  PretrainRecipe plain = recipe();
  run(plain, "plain");
  EvaluateCommand of_plain = command;
  of_plain.checkpoint = folder_ / "plain";
  EXPECT_NE(error_of([&] { evaluate_trained(regions_kind(), of_plain); }).find("neither irta nor mtm"),
            std::string::npos);
}

}  // namespace
}  // namespace vicha
