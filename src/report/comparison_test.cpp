#include "report/comparison.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace vicha {
namespace {

using nlohmann::json;

class ComparisonTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("vicha_comparison_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// A run whose contrast finds `r10` percent of the images among ten, its matching one more.
  fs::path run(const std::string& name, double r10, int images = 10) {
    const auto both = [](double x) {
      const json way = {{"r1", x / 4}, {"r5", x / 2}, {"r10", x}};
      return json{{"text_to_image", way}, {"image_to_text", way}};
    };
    json evaluation = both(r10 + 1);
    evaluation["itc"] = both(r10);
    evaluation["chance"] = both(0.8);
    evaluation.update({{"images", images}, {"captions", 12}, {"k_test", 5}, {"pairs", 60}, {"seconds", 1.0}});
    evaluation["manifest"] = "test.json";
    write_file_atomic(folder_ / name / "eval.json", evaluation.dump());
    return folder_ / name;
  }

  void checkpoint(const std::string& name, const json& config) {
    const fs::path at = folder_ / name / "checkpoints" / "step-000010";
    write_file_atomic(at / "config.json", config.dump());
    write_file_atomic(at / "state.json", R"({"step": 10})");
    write_file_atomic(at / "model.safetensors", "");
    write_file_atomic(at / "recipe.toml", "");
  }

  fs::path folder_;
};

TEST_F(ComparisonTest, MeanSpreadAndGainPairByPair) {
  const Comparison c = compare_runs({{"without", {run("a1", 20), run("a2", 22), run("a3", 24)}},
                                     {"with", {run("b1", 21), run("b2", 22), run("b3", 26)}}});
  ASSERT_EQ(c.groups.size(), 2u);
  EXPECT_DOUBLE_EQ(c.groups[0].itc.mean.image.r10, 22);
  EXPECT_DOUBLE_EQ(c.groups[0].itc.deviation.image.r10, 2);
  EXPECT_DOUBLE_EQ(c.groups[0].reranked.mean.text.r10, 23);
  EXPECT_FALSE(c.groups[0].itc_gain);
  ASSERT_TRUE(c.groups[1].itc_gain);
  EXPECT_DOUBLE_EQ(c.groups[1].itc_gain->mean.image.r10, 1);  // +1, 0, +2
  EXPECT_DOUBLE_EQ(c.groups[1].itc_gain->deviation.image.r10, 1);
  EXPECT_NEAR(c.groups[1].itc_gain->margin.image.r10, 4.302653 / std::sqrt(3.0), 1e-5);  // t of 2 degrees of freedom
  EXPECT_DOUBLE_EQ(c.chance.image.r10, 0.8);
  EXPECT_EQ(c.captions, 12);
  EXPECT_NE(c.to_table().find("22.0 ± 2.0"), std::string::npos) << c.to_table();
  EXPECT_NE(c.to_table().find("+1.0 ± 2.5"), std::string::npos) << c.to_table();
  const json written = json::parse(c.to_json());
  EXPECT_DOUBLE_EQ(written["groups"][1]["itc_gain"]["mean"]["text_to_image"]["r10"], 1);
  EXPECT_NEAR(written["groups"][1]["itc_gain"]["margin"]["text_to_image"]["r10"], 2.484, 1e-3);
}

TEST_F(ComparisonTest, OneRunHasNoSpreadAndUnequalGroupsNoPairs) {
  const Comparison c = compare_runs({{"one", {run("a", 20)}}, {"two", {run("b", 21), run("c", 23)}}});
  EXPECT_EQ(c.groups[0].itc.deviation.image.r10, 0);
  EXPECT_EQ(c.groups[0].itc.margin.image.r10, 0);
  EXPECT_FALSE(c.groups[1].itc_gain);
  EXPECT_EQ(format_spread(20, 0, 1), "20.0");
  EXPECT_EQ(format_spread(-1.25, 0.5, 2, true), "-1.2 ± 0.5");
}

TEST_F(ComparisonTest, DifferencesOfTheRecipesWithoutSeedsAndFiles) {
  run("a", 20);
  run("b", 21);
  checkpoint("a",
             {{"model", {{"concepts", {{"enabled", false}}}}}, {"train", {{"seed", 1}}}, {"init", {{"text", "x"}}}});
  checkpoint("b",
             {{"model", {{"concepts", {{"enabled", true}}}}}, {"train", {{"seed", 2}}}, {"init", {{"text", "y"}}}});
  const Comparison c = compare_runs({{"a", {folder_ / "a"}}, {"b", {folder_ / "b"}}});
  ASSERT_EQ(c.groups[1].differences.size(), 1u);
  EXPECT_EQ(c.groups[1].differences[0], "model.concepts.enabled was false, is true");
}

TEST_F(ComparisonTest, NamesAndRuns) {
  const RunGroup named = RunGroup::parse("with concepts=runs/a,runs/b");
  EXPECT_EQ(named.name, "with concepts");
  EXPECT_EQ(named.runs, (std::vector<fs::path>{"runs/a", "runs/b"}));
  EXPECT_EQ(RunGroup::parse("runs/demo/").name, "demo");
  EXPECT_THROW(RunGroup::parse("x="), UsageError);
  EXPECT_THROW(RunGroup::parse("=runs/a"), UsageError);
  EXPECT_THROW(RunGroup::parse("x=runs/a,,runs/b"), UsageError);
}

TEST_F(ComparisonTest, WhatCannotBeComparedIsNamed) {
  const auto message = [](const std::vector<RunGroup>& groups) -> std::string {
    try {
      compare_runs(groups);
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  };
  const fs::path a = run("a", 20), other = run("other", 20, 11);
  EXPECT_NE(message({{"a", {a}}, {"none", {folder_ / "none"}}}).find("is not there"), std::string::npos);
  fs::create_directory(folder_ / "untold");
  EXPECT_NE(message({{"a", {a}}, {"untold", {folder_ / "untold"}}}).find("vicha eval retrieval"), std::string::npos);
  EXPECT_NE(message({{"a", {a}}, {"other", {other}}}).find("one manifest"), std::string::npos);
  json ranked = json::parse(read_file(a / "eval.json"));
  ranked["ranking"] = "joint";
  write_file_atomic(folder_ / "ranked" / "eval.json", ranked.dump());
  EXPECT_NE(message({{"a", {a}}, {"ranked", {folder_ / "ranked"}}}).find("was ranked by joint"), std::string::npos);
  write_file_atomic(folder_ / "vqa" / "eval.json", R"({"accuracy": 71.5, "records": 100})");
  EXPECT_NE(message({{"a", {a}}, {"vqa", {folder_ / "vqa"}}}).find("compares retrieval alone"), std::string::npos);
  json without = json::parse(read_file(a / "eval.json"));
  without.erase("itc");
  write_file_atomic(folder_ / "old" / "eval.json", without.dump());
  EXPECT_NE(message({{"a", {a}}, {"old", {folder_ / "old"}}}).find("'itc'"), std::string::npos);
}

}  // namespace
}  // namespace vicha
