#include "demo/scenes/scenes.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "demo/demo_images_test_support.h"
#include "demo/scenes/cast.h"
#include "image/decode.h"

namespace vicha {
namespace {

using demo::pattern;
using nlohmann::json;

struct Emoji {
  const char *code, *label;
  int subgroup;
};
constexpr const char* kSubgroups[] = {"animal-mammal", "food-prepared", "transport-ground", "clothing", "sky-weather"};
constexpr Emoji kEmoji[] = {{"1f981", "lion", 0},     {"1f42f", "tiger", 0},   {"1f98a", "fox", 0},
                            {"1f43a", "wolf", 0},     {"1f355", "pizza", 1},   {"1f32e", "taco", 1},
                            {"1f95e", "pancakes", 1}, {"1f682", "train", 2},   {"1f69c", "tractor", 2},
                            {"1f451", "crown", 3},    {"1f454", "necktie", 3}, {"1f9e3", "scarf", 3},
                            {"1f31e", "sunny", 4},    {"1f697", "car", 2},     {"1f43b", "grizzly bear", 0}};

/// Unpacked packages with a few things that scenes may show, and some that they may not.
class SceneSetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("vicha_scenes_" + std::to_string(::getpid()) + "_" +
                                         ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    options_.sources = root_ / "sources";
    options_.out = root_ / "scenes";
    options_.counts = {24, 12, 12};
    options_.threads = 2;
    write_emoji();
    write_stamp("animals/birds/crow", "A crow.", 60);
    write_stamp("animals/birds/owls", "Two owls.", 60);
    write_stamp("seasonal/pumpkin", "A pumpkin.", 60);
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const fs::path& name, const std::string& content) const {
    fs::create_directories((options_.sources / name).parent_path());
    std::ofstream(options_.sources / name, std::ios::binary) << content;
  }

  void write_emoji() const {
    json list = json::array(), data = json::array(), subgroups = json::array();
    for (std::size_t i = 0; i < std::size(kSubgroups); ++i) subgroups.push_back({{"key", kSubgroups[i]}, {"order", i}});
    int side = 40;
    for (const auto& [code, label, subgroup] : kEmoji) {
      list.push_back({{"name", label},
                      {"unified", code},
                      {"image", std::string(code) + ".png"},
                      {"category", "Things"},
                      {"has_img_google", true},
                      {"has_img_twitter", true}});
      data.push_back({{"hexcode", code}, {"label", label}, {"subgroup", subgroup}});
      for (const std::string artist : {"google", "twitter"}) {
        write(fs::path(artist) / "img" / artist / "64" / (std::string(code) + ".png"), encode_png(pattern(64, side)));
      }
      write("fluent/assets/" + std::string(code) + ".webp", encode_png(pattern(64, ++side)));
    }
    write("google/emoji.json", list.dump());
    write("emojibase/en/data.json", data.dump());
    write("emojibase/en/messages.json", json{{"subgroups", subgroups}}.dump());
    write("openmoji/color/svg/none.svg", "<svg/>");
    write("emojione/icons.json", R"({"icons": {}})");
    write("noto-v1/icons.json", R"({"icons": {}})");
  }

  /// Noisy enough to count as a photograph.
  void write_stamp(const std::string& name, const std::string& caption, int side) const {
    Image photo(side, side, 4);
    for (std::size_t i = 0; i < photo.pixels.size(); ++i) {
      photo.pixels[i] = i % 4 == 3 ? 255 : static_cast<std::uint8_t>((i * 2654435761U) >> 13);
    }
    write("tux/usr/share/tuxpaint/stamps/" + name + ".png", encode_png(photo));
    write("tux/usr/share/tuxpaint/stamps/" + name + ".txt", caption + "\n");
  }

  json parsed(const std::string& name) const { return json::parse(read_file(options_.out / name)); }
  std::string complaint() const {
    try {
      build_scenes(options_);
    } catch (const Error& error) {
      return error.what();
    }
    ADD_FAILURE() << "no error";
    return "";
  }

  fs::path root_;
  SceneOptions options_;
};

TEST_F(SceneSetTest, TheCastHasPlainNamesOfKnownKinds) {
  const demo::SceneCast cast =
      demo::choose_cast(demo::read_emoji(options_.sources), demo::read_stamps(options_.sources, 1));
  std::vector<std::string> names;
  for (const demo::SceneConcept& one : cast.concepts) names.push_back(one.name);
  const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  for (const char* name : {"tiger", "pizza", "train", "crown"}) EXPECT_TRUE(has(name)) << name;
  for (const char* name : {"pancakes", "sunny", "car", "two owls", "pumpkin"}) EXPECT_FALSE(has(name)) << name;
}

TEST_F(SceneSetTest, PicturesAreExactlyThoseOfTheManifests) {
  const SceneReport report = build_scenes(options_);
  EXPECT_EQ(report.pictures_drawn, 48 * 6);
  EXPECT_EQ(report.records.front(), (std::pair<std::string, std::int64_t>("retrieval_train.json", 48)));
  const json objects = parsed("objects.json");
  std::size_t found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(options_.out / "images" / "scenes")) {
    if (!entry.is_regular_file()) continue;
    EXPECT_TRUE(objects.contains(entry.path().lexically_relative(options_.out).generic_string())) << entry.path();
    const Image image = load_rgb(entry.path());
    EXPECT_EQ(image.width, 192);
    EXPECT_EQ(image.height, 192);
    ++found;
  }
  EXPECT_EQ(found, objects.size());
  EXPECT_TRUE(parsed("ve_test.json")[0].at("image").get<std::string>().ends_with(".jpg"));
}

TEST_F(SceneSetTest, RepeatingKeepsPicturesAndGivesTheSameFiles) {
  build_scenes(options_);
  const std::string questions = read_file(options_.out / "vqa_train.json");
  const fs::path lost = options_.out / "images" / "scenes" / "test" / "vqa_00003.jpg";
  const std::string bytes = read_file(lost);
  fs::remove(lost);
  const fs::path cut = options_.out / "images" / "scenes" / "train" / "ve_00001.jpg";
  std::ofstream(cut, std::ios::binary) << "cut off";
  options_.threads = 1;
  const SceneReport again = build_scenes(options_);
  EXPECT_EQ(again.pictures_drawn, 2);
  EXPECT_EQ(read_file(lost), bytes);
  EXPECT_EQ(load_rgb(cut).width, 192);
  EXPECT_EQ(read_file(options_.out / "vqa_train.json"), questions);

  options_.seed = 1;
  EXPECT_EQ(build_scenes(options_).pictures_kept, 0);
  EXPECT_NE(read_file(options_.out / "vqa_train.json"), questions);
}

TEST_F(SceneSetTest, CountsMustGiveEachFormEachLabel) {
  for (const std::array<std::int64_t, 3>& counts :
       {std::array<std::int64_t, 3>{24, 12, 13}, {24, 0, 12}, {-12, 12, 12}, {24, 12, 120'000}}) {
    options_.counts = counts;
    EXPECT_NE(complaint().find("multiples of 12"), std::string::npos);
  }
  options_.counts = {24, 12, 1000};
  EXPECT_NE(complaint().find("1000 records of test cannot be"), std::string::npos);
  EXPECT_NE(complaint().find("996"), std::string::npos);
  EXPECT_FALSE(fs::exists(options_.out));
}

TEST_F(SceneSetTest, TooManyCaptionsForTheCastAreRefused) {
  options_.counts = {99'996, 12, 12};
  EXPECT_NE(complaint().find("different captions"), std::string::npos);
}

TEST_F(SceneSetTest, SourcesWithoutEnoughThingsAreRefused) {
  write("emojibase/en/messages.json", R"({"subgroups": []})");
  EXPECT_NE(complaint().find("things have a plain name"), std::string::npos);
  EXPECT_NE(complaint().find("make demo-data"), std::string::npos);
}

TEST_F(SceneSetTest, EachSetHasAFolderOfItsOwn) {
  build_demo({options_.sources, options_.out, DemoKwords::kNone, 2});
  EXPECT_NE(complaint().find("holds the retrieval set"), std::string::npos);
  fs::remove_all(options_.out);
  build_scenes(options_);
  EXPECT_THROW(build_demo({options_.sources, options_.out, DemoKwords::kNone, 2}), UsageError);
}

}  // namespace
}  // namespace vicha
