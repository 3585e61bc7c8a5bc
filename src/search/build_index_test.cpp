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

/// A byte in the middle is another one.
std::string flipped(std::string bytes, double where) {
  const auto at = static_cast<std::size_t>(where * static_cast<double>(bytes.size() - 1));
  bytes[at] = static_cast<char>(bytes[at] ^ 0x11);
  return bytes;
}

TEST_F(BuildIndex, MakesAnewWhatIsDamagedAndASearchRefusesIt) {
  put_some();
  build();
  const auto whole = parts();
  for (const char* name :
       {"index.json", "files.jsonl", "pictures.emb", "codes.bin", "background.emb", "calibration.json"}) {
    std::vector<std::string> damages = {"", "garbage", "\x89PNG garbage",
                                        whole.at(name).substr(0, whole.at(name).size() / 2)};
    for (const double where : {0.3, 0.6, 0.95}) {
      if (std::string(name) == "pictures.emb" && where == 0.6) continue;  // zeros between blocks, which nobody reads
      damages.push_back(flipped(whole.at(name), where));
    }
    if (std::string(name) == "index.json") damages.resize(4);  // it has no sum of itself
    damages.push_back("missing");
    for (const std::string& damage : damages) {
      if (std::string(name) == "index.json" && damage == "missing") continue;  // half built
      SCOPED_TRACE(std::string(name) + " with " + std::to_string(damage.size()) + " bytes, number " +
                   std::to_string(&damage - damages.data()));
      const fs::path part = index() / name;
      damage == "missing" ? void(fs::remove(part)) : write_file_atomic(part, damage);
      const std::string said = refused([&] { PictureIndex opened(index()); });
      const bool is_flipped = damage.size() == whole.at(name).size();
      if (std::string(name) != "files.jsonl" && !is_flipped) {  // else a sum alone may tell, or another part
        EXPECT_NE(said.find(name), std::string::npos) << said;
      }
      EXPECT_NE(said.find("Repeat `vicha index`"), std::string::npos) << said;
      const IndexReport report = build();
      EXPECT_FALSE(report.nothing_changed);
      if (std::string(name) != "pictures.emb") {
        EXPECT_EQ(report.embedded, 0);
      }
      EXPECT_EQ(parts(), whole);
    }
  }
}

TEST_F(BuildIndex, EmbedsAgainOnlyTheVectorsThatAreLost) {
  put_some();
  build();
  const auto whole = parts();
  // The same vectors in two blocks, the first of five pictures.
  const EmbeddingStore old = EmbeddingStore::open(IndexPaths{index()}.vectors());
  const SourceWeights weights = old.source();
  const StoreShape shape = old.shape();
  std::vector<std::string> keys;
  std::vector<std::uint64_t> contents;
  std::vector<std::int64_t> records;
  for (std::int64_t i = 0; i < old.size(); ++i) {
    keys.emplace_back(old.key(i));
    contents.push_back(old.content(i));
    records.push_back(i);
  }
  const at::Tensor rows = old.rows(records);
  {
    EmbeddingStoreWriter writer(folder_ / "two.emb", weights, shape);
    writer.add(std::span(keys).first(5), std::span(contents).first(5), rows.narrow(0, 0, 5));
    writer.flush();
    writer.add(std::span(keys).subspan(5), std::span(contents).subspan(5), rows.narrow(0, 5, rows.size(0) - 5));
    writer.finish();
  }
  std::string bytes = read_file(folder_ / "two.emb");
  // The last of the first block's vectors.
  const auto offsets = vector_offsets(folder_ / "two.emb");
  bytes[offsets[4] + 3] = static_cast<char>(bytes[offsets[4] + 3] ^ 0x11);
  write_file_atomic(IndexPaths{index()}.vectors(), bytes);
  EXPECT_EQ(build().embedded, 5);
  EXPECT_EQ(parts(), whole);
}

TEST_F(BuildIndex, AnOlderIndexWithoutSumsIsSearchedAndLeftAlone) {
  put_some();
  build();
  std::string text = read_file(IndexPaths{index()}.description());
  const std::size_t at = text.find(",\n \"calibration_sum\"");
  ASSERT_NE(at, std::string::npos);
  text.erase(at, text.rfind('\n', text.size() - 3) - at);
  write_file_atomic(IndexPaths{index()}.description(), text);
  EXPECT_EQ(find("red").hits.front().name, "red.png");
  EXPECT_TRUE(build().nothing_changed);
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
