#include "demo/demo.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "demo/demo_images_test_support.h"
#include "demo/demo_sprites.h"
#include "image/decode.h"

namespace vicha {
namespace {

using demo::pattern;
using nlohmann::json;
using Strings = std::vector<std::string>;

/// Unpacked packages in small: five emoji and a few stamps. What the splits of real labels are comes from the
/// reference.
class DemoTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("vicha_demo_" + std::to_string(::getpid()) + "_" +
                                         ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    options_.sources = root_ / "sources";
    options_.out = root_ / "demo";
    options_.threads = 2;
    write_emoji();
    write_stamps();
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const fs::path& name, const std::string& content) const {
    fs::create_directories((options_.sources / name).parent_path());
    put(options_.sources / name, content);
  }
  static void put(const fs::path& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
  }

  void write_emoji() const {
    json list = json::array();
    const auto add = [&](const std::string& unified, const json& name, const std::string& category = "Symbols") {
      std::string file = unified;
      std::transform(file.begin(), file.end(), file.begin(), [](unsigned char c) { return std::tolower(c); });
      list.push_back({{"name", name},
                      {"unified", unified},
                      {"image", file + ".png"},
                      {"category", category},
                      {"has_img_google", true},
                      {"has_img_twitter", true}});
      for (const std::string artist : {"google", "twitter"}) {
        write(fs::path(artist) / "img" / artist / "64" / (file + ".png"), encode_png(pattern(64, 60)));
      }
      write("fluent/assets/" + file + ".webp", encode_png(pattern(64, 70)));
    };
    add("0023-FE0F-20E3", "HASH KEY");  // trained on and tested
    add("0030-FE0F-20E3", nullptr);     // kept for validation
    add("0031-FE0F-20E3", "KEYCAP 1");  // held out
    add("1F43B", "BEAR FACE");          // an icon's name is an alias
    add("1F1E6", "LETTER A", "Flags");  // left out
    add("1F600", "NOT DESCRIBED");      // left out
    write("google/emoji.json", list.dump());
    fs::remove(options_.sources / "fluent/assets/0023-fe0f-20e3.webp");
    write("fluent/assets/0023-20e3.webp", encode_png(pattern(64, 70)));  // filed without the variation mark

    write("emojibase/en/messages.json", R"({"subgroups": [{"key": "animal-mammal", "order": 30}]})");
    write("emojibase/en/data.json",
          json::array({{{"hexcode", "0023-FE0F-20E3"}, {"label", "keycap: #"}, {"tags", {"keycap"}}},
                       {{"hexcode", "0030-FE0F-20E3"}, {"label", "keycap: 0"}, {"tags", {"0", "keycap", "zero"}}},
                       {{"hexcode", "0031-FE0F-20E3"}, {"label", "keycap: 1"}, {"tags", {"1", "keycap", "one"}}},
                       {{"hexcode", "1F43B"}, {"label", "bear"}, {"tags", {"animal", "bear", "face"}}},
                       {{"hexcode", "1F1E6"}, {"label", "regional indicator A"}}})
              .dump());

    const std::string body = R"(<circle cx="8" cy="8" r="7" fill="#c80"/>)";
    write("openmoji/color/svg/1F43B.svg",
          R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">)" + body + "</svg>");
    write(
        "emojione/icons.json",
        json{{"icons", {{"bear-face", {{"body", body}}}}}, {"aliases", {{"bear", {{"parent", "bear-face"}}}}}}.dump());
    write("noto-v1/icons.json", json{{"icons", {{"bear", {{"body", body}, {"width", 20}}}}}, {"height", 20}}.dump());
  }

  void write_stamp(const std::string& name, const std::string& text, const Image& image) const {
    const std::string stamps = "tux/usr/share/tuxpaint/stamps/";
    write(stamps + name + ".png", encode_png(image));
    if (!text.empty()) write(stamps + name + ".txt", text);
  }

  void write_stamps() const {
    write_stamp("animals/toys/tree-frog_2", "A frog.\r\nde.utf8=Ein Frosch.", pattern(150, 120));
    write_stamp("animals/birds/crow", "A crow.\n", pattern(50, 30));
    write_stamp("animals/birds/crow_mirror", "A crow.\n", pattern(50, 30));
    write_stamp("animals/birds/tiny", "A wren.\n", pattern(30, 30));
    write_stamp("animals/nameless", "", pattern(50, 30));
    write_stamp("symbols/plus", "A plus.\n", pattern(50, 30));
  }

  json manifest(const std::string& name) const { return json::parse(read_file(options_.out / name)); }
  static Strings column(const json& records, const std::string& field) {
    Strings values;
    for (const json& record : records) values.push_back(record.at(field).get<std::string>());
    return values;
  }

  /// What `build_demo` complains of, checked to be a DataError.
  std::string complaint() const {
    try {
      build_demo(options_);
    } catch (const DataError& error) {
      return error.what();
    }
    ADD_FAILURE() << "no DataError";
    return "";
  }

  fs::path root_;
  DemoOptions options_;
};

TEST_F(DemoTest, SplitsCaptionsAndArtists) {
  const BuildReport report = build_demo(options_);
  EXPECT_EQ(report.training_concepts, 3);
  EXPECT_EQ(report.held_out_concepts, 1);
  EXPECT_EQ(report.training_images, 2 + 2 + 5);
  EXPECT_EQ(report.images_drawn, 9 + 4 + 2);

  const json train = manifest("train.json");
  EXPECT_EQ(column(train, "caption"),
            (Strings{"keycap: #", "hash key",         "keycap: #", "hash key",  "keycap: 0",        "0 keycap zero",
                     "keycap: 0", "0 keycap zero",    "bear",      "bear face", "animal bear face", "bear",
                     "bear face", "animal bear face", "bear",      "bear face", "animal bear face", "bear",
                     "bear face", "animal bear face", "bear",      "bear face", "animal bear face"}));
  const Strings sources = column(train, "source");
  EXPECT_EQ(Strings(sources.begin() + 8, sources.end()),
            (Strings{"google", "google", "google", "twitter", "twitter", "twitter", "openmoji", "openmoji", "openmoji",
                     "emojione", "emojione", "emojione", "noto-v1", "noto-v1", "noto-v1"}));
  EXPECT_EQ(column(manifest("val.json"), "label"), Strings{"keycap: 0"});
  EXPECT_EQ(column(manifest("test.json"), "label"), (Strings{"keycap: #", "bear"}));
  EXPECT_EQ(column(manifest("test_concept.json"), "label"), Strings{"keycap: 1"});
  EXPECT_EQ(manifest("test.json")[1].at("caption"), (json{"bear", "bear face"}));
}

TEST_F(DemoTest, RecordsAndCountsAreThoseOfTheReference) {
  build_demo(options_);
  const std::string first = read_file(options_.out / "train.json").substr(0, 220);
  EXPECT_TRUE(first.starts_with(
      R"([
{"image":"images/emoji/google/0023-fe0f-20e3.png","image_id":"emoji/google/0023-fe0f-20e3.png","caption":"keycap: #",)"
      R"("tags":["keycap"],"label":"keycap: #","source":"google","kwords":[]},)"))
      << first;
  const json frog = manifest("photo_train.json");
  EXPECT_EQ(frog, json::parse(R"([{"image": "images/stamps/animals_toys_tree-frog_2.png",
      "image_id": "stamps/animals_toys_tree-frog_2.png", "caption": "A frog.", "tags": ["animals", "tree frog"],
      "photo": true, "source": "tuxpaint", "kwords": []}])"));
  EXPECT_EQ(manifest("photo_val.json")[0].at("caption"), json{"A crow."});
  EXPECT_FALSE(manifest("photo_val.json")[0].at("photo").get<bool>());
  EXPECT_EQ(manifest("photo_test.json"), json::array());

  json pretrain = manifest("train.json");
  pretrain.push_back(frog[0]);
  EXPECT_EQ(manifest("pretrain.json"), pretrain);
  EXPECT_EQ(read_file(options_.out / "vocab.txt"), "animal\nbear\nface\nkeycap\n");
  const json stats = manifest("stats.json");
  EXPECT_EQ(stats.at("train.json"), 23);
  EXPECT_EQ(stats.at("emoji_concepts"), (json{{"seen", 2}, {"val", 1}, {"heldout", 1}}));
  EXPECT_EQ(stats.at("test_concept_all_label_words_seen"), 1);
  EXPECT_EQ(stats.at("stamps"), (json{{"all", 2}, {"photographic", 1}}));
}

TEST_F(DemoTest, ImagesAreExactlyThoseOfTheManifests) {
  build_demo(options_);
  std::size_t found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(options_.out / "images")) {
    found += entry.path().extension() == ".png";
  }
  EXPECT_EQ(found, 15U);
  const std::string google = "emoji/google/1f43b.png";
  EXPECT_EQ(load_rgb(options_.out / "images" / google).pixels, demo::flatten(pattern(64, 60), 96, 64, google).pixels);
  const Image stamp = load_rgb(options_.out / "images" / "stamps" / "animals_birds_crow.png");
  EXPECT_EQ(stamp.width, 192);
  EXPECT_EQ(stamp.height, 192);
  EXPECT_FALSE(fs::exists(options_.out / "images" / "emoji" / "google" / "0031-fe0f-20e3.png"));  // held out
}

TEST_F(DemoTest, SvgIsDrawnRound) {
  build_demo(options_);
  const Image bear = load_rgb(options_.out / "images" / "emoji" / "openmoji" / "1f43b.png");
  const std::uint8_t* centre = bear.row(48) + 3 * 48;
  EXPECT_EQ((std::vector<int>{centre[0], centre[1], centre[2]}), (std::vector<int>{0xcc, 0x88, 0}));
  // Trimmed and brought to 81 of 96 pixels: the rim lies between columns 7 and 88.
  EXPECT_NE(bear.row(48)[3 * 9], bear.row(0)[0]);
  EXPECT_EQ(bear.row(48)[3 * 6], bear.row(0)[0]);
}

TEST_F(DemoTest, OracleConceptsAreTheTags) {
  options_.kwords = demo_kwords_from_name("oracle");
  build_demo(options_);
  EXPECT_EQ(manifest("val.json")[0].at("kwords"), (json{"0", "keycap", "zero"}));
  EXPECT_EQ(demo_kwords_from_name("none"), DemoKwords::kNone);
  EXPECT_THROW(demo_kwords_from_name("all"), UsageError);
}

TEST_F(DemoTest, RepeatingKeepsImagesAndGivesTheSameFiles) {
  build_demo(options_);
  const std::string train = read_file(options_.out / "train.json");
  const fs::path lost = options_.out / "images" / "emoji" / "google" / "1f43b.png";
  const std::string image_bytes = read_file(lost);
  fs::remove(lost);
  const fs::path cut = options_.out / "images" / "stamps" / "animals_birds_crow.png";
  put(cut, read_file(cut).substr(0, 50));  // as a power failure may leave it
  put(options_.out / "images" / "emoji" / "stray.png", "x");
  put(options_.out / "images" / "own.png", "not ours to remove");

  options_.threads = 1;
  const BuildReport again = build_demo(options_);
  EXPECT_EQ(again.images_drawn, 2);
  EXPECT_EQ(again.images_kept, 13);
  EXPECT_EQ(read_file(lost), image_bytes);
  EXPECT_EQ(load_rgb(cut).width, 192);
  EXPECT_EQ(read_file(options_.out / "train.json"), train);
  EXPECT_FALSE(fs::exists(options_.out / "images" / "emoji" / "stray.png"));
  EXPECT_TRUE(fs::exists(options_.out / "images" / "own.png"));
}

TEST_F(DemoTest, OtherSourcesAreDrawnAnew) {
  build_demo(options_);
  write("google/img/google/64/1f43b.png", encode_png(pattern(40, 40)));
  EXPECT_EQ(build_demo(options_).images_drawn, 15);
}

TEST_F(DemoTest, FailingBuildLeavesNoManifestBesideNewImages) {
  build_demo(options_);
  write("google/img/google/64/1f43b.png", "no picture");
  EXPECT_NE(complaint().find("1f43b.png"), std::string::npos);
  EXPECT_FALSE(fs::exists(options_.out / "train.json"));
  EXPECT_FALSE(fs::exists(options_.out / "images" / "emoji" / "google" / "1f43b.png"));
  write("google/img/google/64/1f43b.png", encode_png(pattern(64, 60)));
  build_demo(options_);
  EXPECT_EQ(manifest("test.json").size(), 2U);
}

TEST_F(DemoTest, WrongSourcesAreNamedWithTheRemedy) {
  const auto expect = [&](const std::string& what) {
    const std::string said = complaint();
    EXPECT_NE(said.find(what), std::string::npos) << said;
    EXPECT_NE(said.find("make demo-data"), std::string::npos) << said;
  };
  write("emojione/icons.json", "{");
  expect("emojione/icons.json: not what the package should hold");
  fs::remove(options_.sources / "emojione/icons.json");
  expect("emojione/icons.json: this part of the demonstration's sources is missing");
  write_emoji();
  write("google/emoji.json", R"([{"category": 3}])");
  expect("google/emoji.json");
  write("google/emoji.json", "[]");
  expect("no emoji");
  write_emoji();
  write_stamp("animals/birds/crow", "A cr\xf6w.\n", pattern(50, 30));
  expect("crow.txt: the caption in line 1 is not UTF-8");
  options_.sources = root_ / "nowhere";
  expect("nowhere: there is no such folder");
}

TEST_F(DemoTest, OutputThatIsNoFolderIsNamed) {
  options_.out = root_ / "taken";
  put(options_.out, "a file");
  try {
    build_demo(options_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("taken"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace vicha
