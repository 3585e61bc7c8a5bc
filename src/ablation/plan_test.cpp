#include "ablation/plan.h"

#include <gtest/gtest.h>

#include "ablation/ablation_test_support.h"

namespace vicha {
namespace {

using LabPlanning = AblationWorld;

std::vector<std::string> names_of_rows(const LabPlan& plan) {
  std::vector<std::string> names;
  for (const PlannedRow& row : plan.rows) names.push_back(row.name);
  return names;
}

TEST_F(LabPlanning, RowsBuildOnEachOtherInTheOrderOfTheFile) {
  const LabPlan plan = this->plan(R"(
[row.second]
on = "zeta"
set = ["mae.enabled=true"]
[row.zeta]
set = ["mae.enabled=false", "hitc.enabled=false"]
[row.alpha]
on = "second"
set = ["hitc.enabled=true"]
)");
  EXPECT_EQ(names_of_rows(plan), (std::vector<std::string>{"second", "zeta", "alpha"}));
  ASSERT_EQ(plan.runs.size(), 6u);
  EXPECT_EQ(plan.runs[0].name, "second-seed1");
  EXPECT_EQ(plan.runs[3].name, "second-seed2");
  const auto json = [&](std::size_t run) { return to_json(*plan.runs[run].recipe); };
  const auto says = [&](std::size_t run, const std::string& section, bool on) {
    const auto tree = nlohmann::json::parse(json(run));
    EXPECT_EQ(tree.at(section).at("enabled").get<bool>(), on) << plan.runs[run].name << " " << section;
  };
  says(0, "mae", true);
  says(0, "hitc", false);
  says(1, "mae", false);
  says(2, "mae", true);
  says(2, "hitc", true);
  // The first row is what the others are compared with.
  EXPECT_FALSE(plan.rows[0].baseline);
  EXPECT_EQ(plan.rows[1].baseline, 0u);
}

TEST_F(LabPlanning, AxesMakeAGridAndCompareLikeWithLike) {
  const LabPlan plan = this->plan(R"(
[row.plain]
set = ["hitc.enabled=false"]
[row.all]
[axis.share]
key = "lab.share"
values = ["1/4", "1"]
[axis.lr]
key = "optimizer.lr"
rows = ["all"]
values = ["1e-3", "2e-3"]
)");
  EXPECT_EQ(names_of_rows(plan),
            (std::vector<std::string>{"plain-share-1of4", "plain-share-1", "all-share-1of4-lr-1e-3",
                                      "all-share-1of4-lr-2e-3", "all-share-1-lr-1e-3", "all-share-1-lr-2e-3"}));
  EXPECT_EQ(plan.rows[3].title, "all, share 1/4, lr 2e-3");
  EXPECT_EQ(plan.rows[2].baseline, 0u);
  EXPECT_EQ(plan.rows[3].baseline, 0u);
  EXPECT_EQ(plan.rows[5].baseline, 1u);
  const PlannedRun& quarter = plan.runs[plan.rows[3].runs[1]];
  EXPECT_EQ(quarter.data.share, "1/4");
  EXPECT_EQ(quarter.data.seed, 2);
  EXPECT_DOUBLE_EQ((*quarter.recipe)->training.optimizer.lr, 2e-3);
  EXPECT_EQ(plan.runs[plan.rows[5].runs[1]].data.seed, 0) << "all of the pairs depend on no seed";
}

TEST_F(LabPlanning, AnAxisWithABaselineComparesItsOwnValues) {
  const LabPlan plan = this->plan(R"(
[row.plain]
[row.levels]
[axis.levels]
key = "hitc.levels"
rows = ["levels"]
values = ["1", "2"]
baseline = "1"
)");
  EXPECT_EQ(plan.rows[1].baseline, 0u) << "the value itself is compared with the lab's baseline";
  EXPECT_EQ(plan.rows[2].baseline, 1u);
}

TEST_F(LabPlanning, RowsWithOneRecipeShareARun) {
  const LabPlan plan = this->plan(R"(
[row.a]
[row.b]
set = ["hitc.levels=1"]
[row.c]
set = ["hitc.levels=2"]
)");
  EXPECT_EQ(plan.rows[0].runs, plan.rows[1].runs);
  EXPECT_NE(plan.rows[0].runs, plan.rows[2].runs);
  EXPECT_EQ(plan.runs.size(), 4u);
}

TEST_F(LabPlanning, ARefusedRecipeIsARefusedRun) {
  const LabPlan plan = this->plan(R"(
[row.a]
[row.b]
set = ["no.such=1"]
)");
  const PlannedRun& refused = plan.runs[plan.rows[1].runs[0]];
  EXPECT_FALSE(refused.recipe);
  EXPECT_NE(refused.refusal.find("no.such"), std::string::npos) << refused.refusal;
  EXPECT_TRUE(plan.runs[plan.rows[0].runs[0]].recipe);
}

TEST_F(LabPlanning, WhatCannotBeEvaluatedIsRefusedBeforeItTrains) {
  const fs::path file = write_lab("[row.a]\n");
  std::string text = read_file(file);
  text.replace(text.find("[evaluation]"), 12, "[evaluation]\ntask = \"vqa\"");
  text.replace(text.find("set = [\"k_test=4\"]"), 18, "");
  write_file_atomic(file, text);
  const LabPlan plan = plan_lab(load_lab(file), file.string());
  EXPECT_FALSE(plan.runs.front().recipe);
  EXPECT_NE(plan.runs.front().refusal.find("a model of the task 'pretrain' is not evaluated so"), std::string::npos)
      << plan.runs.front().refusal;
}

TEST_F(LabPlanning, ASourceOfConceptsThatIsNotThereRefusesTheRowsThatReadThem) {
  const auto refusal = [&](const std::string& source) {
    const LabPlan plan = this->plan(
        "[row.a]\n[row.plain]\nset = [\"model.concepts.enabled=false\", "
        "\"data.concepts.enabled=false\"]\n[concepts]\nsource = \"" +
        source + "\"\n");
    EXPECT_TRUE(plan.runs[1].recipe) << plan.runs[1].refusal;
    return plan.runs[0].refusal;
  };
  EXPECT_NE(refusal("clip:no/such.safetensors").find("no/such.safetensors"), std::string::npos);
  EXPECT_NE(refusal("tower:no/such.store").find("concepts.image_tower"), std::string::npos);
  EXPECT_NE(refusal("nothing").find("is not a source of concepts"), std::string::npos);
}

TEST_F(LabPlanning, DigestsFollowRecipeAndData) {
  const auto digest = [&](const std::string& row) { return plan("[row.a]\n" + row).runs.front().digest; };
  const std::string first = digest("");
  EXPECT_EQ(digest(""), first);
  EXPECT_EQ(digest("title = \"another\""), first);
  EXPECT_NE(digest("set = [\"optimizer.lr=1e-4\"]"), first);
  EXPECT_NE(digest("share = \"1/2\""), first);
  write_manifest("train.json", 5, 0);
  EXPECT_NE(digest(""), first) << "another manifest is other data";
}

TEST_F(LabPlanning, WhatIsWrongIsNamed) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"[row.a]\non = \"b\"", "row.a.on"},
      {"[row.a]\non = \"a\"", "names the row itself"},
      {"[row.a]\non = \"b\"\n[row.b]\non = \"a\"", "builds on itself"},
      {"[row.a]\nsett = []", "row.a.set"},
      {"[row.\"a b\"]\n", "cannot be the name of a row"},
      {"[row.a]\nshare = \"2/1\"", "row.a.share"},
      {"[row.a]\n[axis.k]\nkey = \"lab.k\"\nvalues = [\"none\"]", "axis.k.values"},
      {"[row.a]\n[axis.x]\nvalues = [\"1\"]", "axis.x.key"},
      {"[row.a]\n[axis.x]\nkey = \"lab.sahre\"\nvalues = [\"1\"]", "lab.share and lab.k"},
      {"[row.a]\n[axis.x]\nkey = \"lab.k\"\nvalues = [\"1\"]", "concepts.source"},
      {"[row.a]\n[axis.x]\nkey = \"train.seed\"\nvalues = [\"1\"]", "'seeds' sets"},
      {"[row.a]\n[axis.x]\nkey = \"train.max_steps\"\nvalues = [\"1\"]", "which the budget sets"},
      {"[row.a]\n[axis.x]\nkey = \"itc.weight\"\nvalues = [\"1\"]\n[axis.y]\nkey = \"itc.weight\"\nvalues = [\"2\"]",
       "both set itc.weight"},
      {"[row.a]\n[axis.x]\nkey = \"itc.weight\"\nvalues = [\"1\", \"1\"]", "twice"},
      {"[row.a]\n[axis.x]\nkey = \"lab.share\"\nvalues = [\"1/2\", \"0.5\"]", "one share twice, 1/2 and 0.5"},
      {"[row.a]\n[row.b]\n[axis.x]\nkey = \"itc.weight\"\nrows = [\"a\"]\nvalues = [\"1\", \"2\"]", "axis.x"},
      {"", "has no rows"},
  };
  for (const auto& [text, told] : wrong) {
    try {
      plan(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(told), std::string::npos) << text << "\n" << error.what();
    }
  }
}

}  // namespace
}  // namespace vicha
