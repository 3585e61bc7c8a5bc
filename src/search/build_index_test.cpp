#include "search/build_index.h"

#include <fstream>

#include "search/search_test_support.h"

namespace vicha {
namespace {

using BuildIndex = SearchFolder;

TEST_F(BuildIndex, CountsWhatItFindsAndNamesWhatItLosesOut) {
  put_some();
  put("copy of red.png", read_file(pictures() / "red.png"));
  put("notes.txt", "no picture");
  put(".hidden/x.png", read_file(pictures() / "red.png"));
  put("empty.jpg", "");
  put("broken.png", read_file(pictures() / "red.png").substr(0, 60));
  put("page.jpg", "<!DOCTYPE html><html></html>");
  put("without suffix", picture({"red", "blue", "red", "blue"}));
  // Claims 60,000 x 60,000 pixels.
  put("huge.ppm", "P6 60000 60000 255\n" + std::string(100, 'x'));
  fs::create_directory_symlink("..", pictures() / "mixed/loop");
  fs::create_symlink("nowhere.png", pictures() / "dangling.png");
  const IndexReport report = build();
  EXPECT_EQ(report.files, 28);  // 6 + 20 + copy + without suffix
  EXPECT_EQ(report.pictures, 27);
  EXPECT_EQ(report.fresh, 28);
  EXPECT_EQ(report.embedded, 27);
  EXPECT_EQ(report.others, 1);
  EXPECT_EQ(report.hidden, 1);
  const std::string skipped = read_file(IndexPaths{index()}.skipped());
  for (const char* name : {"empty.jpg", "broken.png", "page.jpg", "huge.ppm", "dangling.png"}) {
    EXPECT_NE(skipped.find(name), std::string::npos) << name << "\n" << skipped;
  }
  EXPECT_EQ(report.skipped, 5);
  EXPECT_FALSE(fs::exists(IndexPaths{index()}.work()));
}

TEST_F(BuildIndex, IsTheSameAfterKills) {
  put_some();
  build();
  const auto uninterrupted = parts();
  fs::remove_all(index());
  for (const std::int64_t fail_after : {2, 9, 15}) {
    auto source = std::make_unique<CellSource>();
    source->fail_after = fail_after;
    SearchModel towers = model(std::move(source));
    EXPECT_EQ(refused([&] { build_index(pictures(), index(), towers, {}); }), "killed");
    EXPECT_NE(refused([&] { PictureIndex opened(index()); }).find("half built"), std::string::npos);
  }
  {
    auto source = std::make_unique<CellSource>();
    source->fail_at_texts = true;  // all pictures are embedded
    SearchModel towers = model(std::move(source));
    EXPECT_EQ(refused([&] { build_index(pictures(), index(), towers, {}); }), "killed");
  }
  const IndexReport last = build();
  EXPECT_EQ(last.embedded, 0) << "what was embedded before the kill was lost";
  EXPECT_EQ(parts(), uninterrupted);
}

TEST_F(BuildIndex, IsTheSameAfterAKillWhileItsPartsAreReplaced) {
  put_some();
  build();
  put("new.png", picture({"red", "blue", "blue", "blue"}));
  fs::create_directories(folder_ / "kept");
  fs::copy(index(), folder_ / "kept", fs::copy_options::recursive);
  build();
  const auto uninterrupted = parts();
  // The vectors are the new ones already, all else is old, and index.json is gone.
  const std::string vectors = read_file(IndexPaths{index()}.vectors());
  fs::remove_all(index());
  fs::rename(folder_ / "kept", index());
  write_file_atomic(IndexPaths{index()}.vectors(), vectors);
  fs::remove(IndexPaths{index()}.description());
  EXPECT_NE(refused([&] { PictureIndex opened(index()); }).find("half built"), std::string::npos);
  EXPECT_EQ(build().embedded, 0);
  EXPECT_EQ(parts(), uninterrupted);
}

TEST_F(BuildIndex, FollowsTheFolder) {
  put_some();
  build();
  fs::create_directories(pictures() / "elsewhere");
  fs::rename(pictures() / "mixed/3.png", pictures() / "elsewhere/three.png");
  put("mixed/4.png", picture({"black", "white", "red", "red"}, 99));
  fs::remove(pictures() / "mixed/5.png");
  put("fresh.png", picture({"white", "blue", "red", "green"}));
  const IndexReport report = build();
  EXPECT_EQ(report.moved, 1);
  EXPECT_EQ(report.changed, 1);
  EXPECT_EQ(report.removed, 1);
  EXPECT_EQ(report.fresh, 1);
  EXPECT_EQ(report.unchanged, 23);
  EXPECT_EQ(report.embedded, 2);
  const auto updated = parts();
  fs::remove_all(index());
  build();
  EXPECT_EQ(parts(), updated) << "an index brought up to date is not the one that is made anew";
}

TEST_F(BuildIndex, LeavesAnIndexAloneWhenNothingChanged) {
  put_some();
  build();
  const auto time = fs::last_write_time(IndexPaths{index()}.codes());
  const IndexReport report = build();
  EXPECT_TRUE(report.nothing_changed);
  EXPECT_EQ(report.embedded, 0);
  EXPECT_EQ(report.unchanged, 26);
  EXPECT_EQ(fs::last_write_time(IndexPaths{index()}.codes()), time);
}

TEST_F(BuildIndex, SeesAChangeThatSizeAndTimeHideIfItIsToldTo) {
  put_some();
  build();
  const fs::path file = pictures() / "red.png";
  const auto time = fs::last_write_time(file);
  std::string bytes = read_file(file);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);  // of the last checksum, which nobody needs
  put("red.png", bytes);
  fs::last_write_time(file, time);
  EXPECT_TRUE(build().nothing_changed);
  IndexOptions all;
  all.read_all = true;
  const IndexReport report = build(all);
  EXPECT_EQ(report.changed + report.skipped, 1);
}

TEST_F(BuildIndex, RefusesAnotherModelAndNamesBoth) {
  put_some();
  build();
  SearchModel other = model(std::make_unique<CellSource>('b'));
  const std::string message = refused([&] { build_index(pictures(), index(), other, {}); });
  EXPECT_NE(message.find("aaaaaaaaaaaa"), std::string::npos) << message;
  EXPECT_NE(message.find("bbbbbbbbbbbb"), std::string::npos) << message;
  EXPECT_NE(message.find("--rebuild"), std::string::npos) << message;
  const PictureIndex opened(index());
  EXPECT_NE(refused([&] { PictureSearch search(opened, other); }).find("bbbbbbbbbbbb"), std::string::npos);
  IndexOptions anew;
  anew.rebuild = true;
  EXPECT_EQ(build_index(pictures(), index(), other, anew).embedded, 26);
}

TEST_F(BuildIndex, RefusesAnotherSourceUnlessItIsToReplaceTheFirst) {
  put_some();
  std::string captions;
  for (const auto& [name, rgb] : cell_colours()) {
    captions += R"({"image": ")" + name + R"(.png", "caption": "a )" + name + R"( picture"})" + "\n";
  }
  put("captions.json", captions);
  IndexOptions by_captions;
  by_captions.calibrate.manifest = pictures() / "captions.json";
  build(by_captions);
  EXPECT_NE(read_file(IndexPaths{index()}.calibration()).find("\"captions\""), std::string::npos);
  const auto before = parts();
  const fs::path other = folder_ / "others";
  fs::create_directories(other);
  fs::copy(pictures() / "mixed", other);
  SearchModel towers = model();
  const std::string said = refused([&] { build_index(other, index(), towers, {}); });
  for (const fs::path& named : {pictures(), other, fs::path("--replace")}) {
    EXPECT_NE(said.find(named.string()), std::string::npos) << said;
  }
  EXPECT_EQ(parts(), before);
  IndexOptions replace;
  replace.replace = true;
  EXPECT_EQ(build_index(other, index(), towers, replace).embedded, 0);
  EXPECT_EQ(read_file(IndexPaths{index()}.calibration()).find("\"captions\""), std::string::npos);
  EXPECT_NE(refused([&] { build(); }).find("--replace"), std::string::npos);
  fs::create_directory_symlink(other, folder_ / "link");  // the same folder by another name
  EXPECT_EQ(build_index(folder_ / "link", index(), towers, {}).embedded, 0);
}

TEST_F(BuildIndex, RefusesFoldersThatAreNoPlaceForAnIndex) {
  put_some();
  SearchModel towers = model();
  EXPECT_NE(refused([&] { build_index(pictures(), pictures(), towers, {}); }).find("other things"), std::string::npos);
  EXPECT_NE(refused([&] { build_index(pictures(), pictures() / "red.png", towers, {}); }).find("is a file"),
            std::string::npos);
  fs::create_directories(folder_ / "texts");
  write_file_atomic(folder_ / "texts/a.txt", "a");
  EXPECT_NE(refused([&] { build_index(folder_ / "texts", index(), towers, {}); }).find("no pictures"),
            std::string::npos);
  EXPECT_NE(refused([&] { build_index(folder_ / "none", index(), towers, {}); }).find("does not exist"),
            std::string::npos);
  EXPECT_NE(refused([&] { build_index(pictures() / "red.png", index(), towers, {}); }).find("is a picture"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(index()));
}

TEST_F(BuildIndex, ReadsManifests) {
  put_some();
  write_file_atomic(folder_ / "some.jsonl",
                    "{\"image\": \"pictures/red.png\"}\n{\"image\": \"pictures/mixed/1.png\"}\n"
                    "{\"image\": \"pictures/red.png\"}\n{\"image\": \"pictures/lost.png\"}\n");
  SearchModel towers = model();
  const IndexReport report = build_index(folder_ / "some.jsonl", index(), towers, {});
  EXPECT_EQ(report.files, 2);
  EXPECT_EQ(report.skipped, 1);
  EXPECT_EQ(report.first_skipped.front().name, "pictures/lost.png");
  EXPECT_EQ(find("red").hits.front().name, "pictures/red.png");
}

TEST_F(BuildIndex, KeepsNamesThatAreNoUtf8) {
  put_some();
  const std::string name = "odd \xff\xfe.png";
  put(name, picture({"red", "red", "green", "green"}));
  build();
  bool there = false;
  for (const IndexedFile& file : read_indexed_files(IndexPaths{index()}.files())) there = there || file.name == name;
  EXPECT_TRUE(there);
}

}  // namespace
}  // namespace vicha
