#include "concepts/match/box_tags.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "image/decode.h"

namespace vicha {
namespace {

/// Cells of 30 x 20 pixels. The cat covers cells 0 and 1 and a quarter of those below; the dog lies over half of the
/// cat's cell 1 and wins nothing there; the worm covers half of cell 8.
TEST(BoxTags, ACellHasTheNameThatCoversMostOfIt) {
  const NamedBox boxes[] = {{"cat", 0, 0, 60, 25}, {"dog", 45, 0, 15, 20}, {"worm", 60, 40, 30, 10}};
  const BoxTags tags = box_tags(boxes, 90, 60, {.side = 3});
  EXPECT_EQ(tags.regions, (std::vector<std::string>{"cat", "cat", "", "", "", "", "", "", "worm"}));
  EXPECT_EQ(tags.best, (std::vector<std::string>{"cat", "worm"}));
  // A quarter is enough, then rows 1 have the cat too.
  EXPECT_EQ(box_tags(boxes, 90, 60, {.side = 3, .share = 0.25}).regions[3], "cat");
  EXPECT_EQ(box_tags(boxes, 90, 60, {.side = 3, .num_tags = 1}).best, (std::vector<std::string>{"cat"}));
  EXPECT_EQ(box_tags({}, 90, 60, {.side = 3}).regions, std::vector<std::string>(9));
}

class BoxTagFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("vicha_box_tags_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    Image image(60, 60, 3);
    write_file_atomic(folder_ / "a.png", encode_png(image));
    write_file_atomic(folder_ / "m.json", R"([{"image": "a.png", "caption": "x", "kword_scores": [1]}])");
  }
  void TearDown() override { fs::remove_all(folder_); }
  BoxTagReport assign(const std::string& boxes) const {
    write_file_atomic(folder_ / "boxes.json", boxes);
    return assign_box_tags(folder_ / "m.json", folder_ / "boxes.json", folder_ / "out.json", {.side = 2});
  }
  std::string refusal(const std::string& boxes) const {
    try {
      assign(boxes);
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  }
  fs::path folder_;
};

TEST_F(BoxTagFiles, WritesTagsAndConcepts) {
  const BoxTagReport report = assign(R"({"a.png": [{"name": "cat", "bbox": [0, 0, 30, 40], "size": "small"}]})");
  EXPECT_EQ(report.tagged_regions, 1);
  EXPECT_EQ(report.words, 1);
  const auto record = nlohmann::json::parse(read_file(folder_ / "out.json"))[0];
  EXPECT_EQ(record["region_tags"], nlohmann::json::array({"cat", nullptr, nullptr, nullptr}));
  EXPECT_EQ(record["kwords"], nlohmann::json::array({"cat"}));
  EXPECT_FALSE(record.contains("kword_scores"));
}

TEST_F(BoxTagFiles, SayWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"[", "not JSON"},
      {"[]", "holds no object"},
      {"{}", R"(has no boxes of "a.png")"},
      {R"({"a.png": 3})", "are not a list"},
      {R"({"a.png": [3]})", "not an object"},
      {R"({"a.png": [{"bbox": [0, 0, 1, 1]}]})", "without a \"name\""},
      {R"({"a.png": [{"name": "x", "bbox": [0, 0, 1]}]})", "\"bbox\""},
      {R"({"a.png": [{"name": "x", "bbox": [0, 0, 0, 1]}]})", "without area"},
      {R"({"a.png": [{"name": " ", "bbox": [0, 0, 1, 1]}]})", "without a \"name\""},
      {R"({"a.png": [{"name": "x", "bbox": [0, 0, 9, 9]}], "a.png": []})", "\"a.png\" twice"}};
  for (const auto& [boxes, part] : cases) EXPECT_NE(refusal(boxes).find(part), std::string::npos) << refusal(boxes);
  EXPECT_FALSE(fs::exists(folder_ / "out.json"));
}

}  // namespace
}  // namespace vicha
