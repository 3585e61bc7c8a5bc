#include "search/picture_search.h"

#include <algorithm>
#include <fstream>

#include "search/contact_sheet.h"
#include "search/search_test_support.h"

namespace vicha {
namespace {

class PictureSearchTest : public SearchFolder {
 protected:
  void SetUp() override {
    SearchFolder::SetUp();
    put_some();
  }
};

TEST_F(PictureSearchTest, FindsByWords) {
  build();
  for (const auto& [name, rgb] : cell_colours()) {
    const SearchResult result = find("something " + name);
    ASSERT_EQ(result.hits.size(), 10u) << name;
    EXPECT_EQ(result.hits.front().name, name + ".png");
    EXPECT_FALSE(result.by_matching);
    for (std::size_t i = 1; i < result.hits.size(); ++i) {
      EXPECT_GE(result.hits[i - 1].score, result.hits[i].score);
      EXPECT_GE(result.hits[i - 1].probability, result.hits[i].probability);
    }
    EXPECT_GT(result.hits.front().probability, 0.0);
    EXPECT_LT(result.hits.front().probability, 1.0);
  }
}

TEST_F(PictureSearchTest, FindsByAPictureAndMarksItself) {
  build();
  const SearchResult result = find((pictures() / "mixed/7.png").string(), {.k = 3});
  ASSERT_EQ(result.hits.size(), 3u);
  EXPECT_EQ(result.hits[0].name, "mixed/7.png");
  EXPECT_TRUE(result.hits[0].itself);
  EXPECT_NEAR(result.hits[0].cosine, 1, 1e-3);
  EXPECT_FALSE(result.hits[1].itself);
  EXPECT_NE(refused([&] { find("image:" + (folder_ / "none.png").string()); }).find("does not exist"),
            std::string::npos);
}

TEST_F(PictureSearchTest, TellsPicturesFromWords) {
  const std::string file = (pictures() / "red.png").string();
  EXPECT_FALSE(SearchQuery::parse(file).picture.empty());
  EXPECT_FALSE(SearchQuery::parse("image:" + file).picture.empty());
  const SearchQuery words = SearchQuery::parse("text:" + file);
  EXPECT_TRUE(words.picture.empty());
  EXPECT_EQ(words.text, file);
  EXPECT_TRUE(SearchQuery::parse("a red car").picture.empty());
  for (const char* empty : {"", "  ", "text:", "image:"}) {
    EXPECT_NE(refused([&] { SearchQuery::parse(empty); }).find("empty"), std::string::npos) << empty;
  }
  EXPECT_NE(refused([&] { SearchQuery::parse("text:?!"); }).find("has no words"), std::string::npos);
  EXPECT_NO_THROW(SearchQuery::parse("\xf0\x9f\x90\xb6"));  // a dog
  EXPECT_NE(refused([&] { SearchQuery::parse("lost.jpg"); }).find("text:lost.jpg"), std::string::npos);
}

TEST_F(PictureSearchTest, FoldsWhatIsAlike) {
  put("again/red.png", read_file(pictures() / "red.png"));
  put("red-noise.png", picture({"red", "red", "red", "red"}, 5));
  put("red-large.png", picture({"red", "red", "red", "red"}, 6, 96));
  build();
  const SearchResult folded = find("red", {.k = 26});
  const SearchHit& red = folded.hits.front();
  EXPECT_EQ(red.duplicates.size(), 3u);
  std::vector<std::string> names = {red.path.filename().string()};
  for (const fs::path& path : red.duplicates) names.push_back(path.filename().string());
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"red-large.png", "red-noise.png", "red.png", "red.png"}));
  const SearchResult all = find("red", {.k = 29, .all = true});
  EXPECT_EQ(all.hits.size(), 29u);
  for (const SearchHit& hit : all.hits) EXPECT_TRUE(hit.duplicates.empty());
}

TEST_F(PictureSearchTest, SaysThatNothingIsFound) {
  build();
  int found = 0;
  for (const char* nonsense : {"qwzx vrtp", "zzgh", "plokij uhbg tfvc", "xxcv bnmq", "gkrw"}) {
    found += find(nonsense).hits.empty() ? 0 : 1;
  }
  EXPECT_LE(found, 1);
  const SearchResult none = find("red", {.min_probability = 0.99999999});
  EXPECT_TRUE(none.hits.empty());
  EXPECT_EQ(find("qwzx vrtp", {.min_probability = 0.0}).hits.size(), 10u);
}

TEST_F(PictureSearchTest, NamesDamagedIndexes) {
  build();
  const IndexPaths paths{index()};
  const std::string codes = read_file(paths.codes()), lines = read_file(paths.files());
  write_file_atomic(paths.codes(), codes.substr(0, codes.size() - 64));
  EXPECT_NE(refused([&] { find("red"); }).find("codes.bin"), std::string::npos);
  std::string lying = codes;
  lying[40] = static_cast<char>(lying[40] ^ 1);
  write_file_atomic(paths.codes(), lying);
  EXPECT_NE(refused([&] { find("red"); }).find("damaged"), std::string::npos);
  write_file_atomic(paths.codes(), codes);
  write_file_atomic(paths.files(), lines + "{}\n");
  EXPECT_NE(refused([&] { find("red"); }).find("belong together"), std::string::npos);
  write_file_atomic(paths.files(), lines);
  write_file_atomic(paths.description(), "{}");
  EXPECT_NE(refused([&] { find("red"); }).find("index.json"), std::string::npos);
  EXPECT_NE(refused([&] { PictureIndex opened(folder_ / "none"); }).find("does not exist"), std::string::npos);
  EXPECT_NE(refused([&] { PictureIndex opened(pictures()); }).find("not an index"), std::string::npos);
}

TEST_F(PictureSearchTest, FindsByClustersToo) {
  IndexOptions options;
  options.approximate = Approximate::kAlways;
  const IndexReport report = build(options);
  ASSERT_TRUE(report.recall);
  EXPECT_GE(report.recall->recall, 0.98);
  EXPECT_EQ(find("blue").hits.front().name, "blue.png");
}

TEST_F(PictureSearchTest, DrawsASheetThatStandsAlone) {
  put("<b>&\"'.png", picture({"red", "red", "red", "black"}));
  build();
  SearchResult result = find("red", {.k = 26});
  fs::remove(pictures() / "mixed/2.png");
  const std::string sheet =
      contact_sheet(SearchQuery::parse("red <script>alert(1)</script>"), result, {"index", 27, "calibrated"});
  EXPECT_EQ(sheet.find("<script"), std::string::npos);
  EXPECT_EQ(sheet.find("<b>&"), std::string::npos);
  EXPECT_NE(sheet.find("&lt;b&gt;&amp;&quot;"), std::string::npos);
  EXPECT_NE(sheet.find("data:image/webp;base64,"), std::string::npos);
  for (const char* outside : {"http:", "https:", "src=\"/", "url("})
    EXPECT_EQ(sheet.find(outside), std::string::npos) << outside;
  EXPECT_NE(sheet.find("cannot be read any more"), std::string::npos);
  const SearchResult nothing = find("red", {.min_probability = 0.99999999});
  EXPECT_NE(contact_sheet(SearchQuery::parse("red"), nothing, {"index", 27, ""}).find("Nothing found"),
            std::string::npos);
}

}  // namespace
}  // namespace vicha
