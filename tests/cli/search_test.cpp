// A folder indexed and searched by the program, with a model that it trained: as a user types it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "commands_test_support.h"

namespace vicha {
namespace {

class SearchCommands : public Commands<ColourWorld> {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    PretrainRecipe r = recipe();
    r.model.concepts.enabled = r.data.concepts.enabled = false;
    r.training.length.max_steps = 60;
    run(r, "run");
    write_file_atomic(folder_ / "images/broken.png", "no picture at all");
    write_file_atomic(folder_ / "images/empty.jpg", "");
  }

  std::string run_well(const std::string& arguments) const { return Commands::run_well("-q " + arguments); }
  static std::vector<Json> lines(const std::string& text) {
    std::vector<Json> all;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) all.push_back(Json::parse(line));
    return all;
  }
};

TEST_F(SearchCommands, FromAFolderToASheet) {
  EXPECT_TRUE(contains(refused("index images --out index", 2), "--model"));
  const std::string first = run_well("index images --model run --out index");
  EXPECT_TRUE(contains(first, "56 new")) << first;
  EXPECT_TRUE(contains(first, "2 that cannot be read")) << first;
  EXPECT_TRUE(contains(first, "broken.png")) << first;
  EXPECT_TRUE(contains(run_well("index images --out index"), "nothing has changed"));
  fs::rename(folder_ / "images/red0.png", folder_ / "images/other name.png");
  EXPECT_TRUE(contains(run_well("index images --out index"), "1 moved"));

  const std::vector<Json> hits = lines(run_well("search index 'text:a red picture' --k 5 --json --min-probability 0"));
  ASSERT_GE(hits.size(), 1u);
  for (const Json& hit : hits) {
    EXPECT_TRUE(fs::exists(folder_ / hit.at("image").get<std::string>())) << hit;
    EXPECT_TRUE(hit.at("score").is_number());
    EXPECT_GE(hit.at("probability").get<double>(), 0.0);
    EXPECT_LE(hit.at("probability").get<double>(), 1.0);
    EXPECT_TRUE(hit.at("by") == "contrast" || hit.at("by") == "contrast and matching");
  }
  const std::vector<Json> alike = lines(run_well("search index images/blue0.png --k 3 --json --html sheet.html --all"));
  ASSERT_EQ(alike.size(), 3u);
  EXPECT_EQ(alike[0].at("image"), "images/blue0.png");
  EXPECT_EQ(alike[0].at("itself"), true);
  EXPECT_TRUE(contains(read_file(folder_ / "sheet.html"), "data:image/webp"));

  write_file_atomic(folder_ / "queries", "a red picture\n\nimage:none.png\nimages/green1.png\n");
  const std::vector<Json> answers = lines(run_well("search index - --k 1 --min-probability 0 < queries"));
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_EQ(answers[0].at("query"), "a red picture");
  EXPECT_TRUE(answers[1].contains("error"));
  EXPECT_TRUE(answers[2].contains("error"));
  EXPECT_EQ(answers[3].at("image"), "images/green1.png");

  write_file_atomic(folder_ / "queries",
                    "\xEF\xBB\xBF"
                    "images/green1.png\r\n" +
                        std::string(5 << 20, 'a') + "\nimages/blue0.png\r\n");
  const std::vector<Json> others = lines(run_well("search index - --k 1 --min-probability 0 < queries"));
  ASSERT_EQ(others.size(), 3u);
  EXPECT_EQ(others[0].at("query"), "images/green1.png");
  EXPECT_EQ(others[0].at("image"), "images/green1.png");
  EXPECT_TRUE(contains(others[1].at("error").get<std::string>(), "standard input, line 2: has more than 4 MiB"));
  EXPECT_EQ(others[2].at("image"), "images/blue0.png");
}

TEST_F(SearchCommands, CalibratesByCaptionsAndManifests) {
  const std::string out = run_well("index train.json --model vicha:run --out index --calibrate test.json");
  EXPECT_TRUE(contains(out, "calibrated by 8 captions")) << out;
  EXPECT_TRUE(contains(read_file(folder_ / "index/calibration.json"), "\"captions\""));
}

TEST_F(SearchCommands, SayWhatIsWrong) {
  run_well("index images --model run --out index");
  EXPECT_TRUE(contains(refused("search nowhere red", 3), "does not exist"));
  EXPECT_TRUE(contains(refused("search images red", 3), "not an index"));
  EXPECT_TRUE(contains(refused("search index ''", 2), "empty"));
  EXPECT_TRUE(contains(refused("search index lost.png", 2), "text:lost.png"));
  refused("search index red --k 0", 2);
  EXPECT_TRUE(contains(refused("index images --model nowhere --out other", 3), "nowhere"));
  EXPECT_TRUE(contains(refused("index nowhere --model run --out other", 3), "nowhere"));
  EXPECT_TRUE(contains(refused("index images --model run --out images", 2), "other things"));
  EXPECT_TRUE(contains(refused("index images --model run --out train.json", 2), "is a file"));
  // Another run's weights under the same name.
  PretrainRecipe r = recipe();
  r.model.concepts.enabled = r.data.concepts.enabled = false;
  r.training.length.max_steps = 3;
  run(r, "second");
  const std::string other = refused("search index red --model second", 3);
  EXPECT_TRUE(contains(other, "weights") && contains(other, "second")) << other;
  EXPECT_TRUE(contains(refused("index images --model second --out index", 3), "--rebuild"));
  fs::rename(folder_ / "run", folder_ / "moved");
  for (const char* command : {"search index red", "index images --out index"}) {
    const std::string gone = refused(command, 3);
    EXPECT_TRUE(contains(gone, "index: was made with the model") && contains(gone, "--model DIR")) << gone;
  }
  run_well("search index red --model moved --min-probability 0");
  fs::remove(folder_ / "index/index.json");
  EXPECT_TRUE(contains(refused("search index red", 3), "half built"));
}

}  // namespace
}  // namespace vicha
