#include "data/manifest/content_digest.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "data/manifest/data_test_support.h"
#include "data/manifest/manifest.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

class ContentDigests : public ::testing::Test {
 protected:
  std::vector<ContentDigest> of(const std::vector<std::string>& contents, const ManifestOptions& options = {}) const {
    std::vector<fs::path> files;
    for (const std::string& content : contents) {
      files.push_back(folder_.write(fmt::format("m{}.json", files.size()), content));
    }
    return Manifest::load(files, options).digests();
  }
  std::vector<std::string> changes(const std::string& before, const std::string& now, const ManifestOptions& o = {}) {
    return content_changes(of({before}, o), of({now}, o));
  }

  const std::string a_ = R"({"image": "a.png", "caption": ["x", "y"], "kwords": ["k"], "image_id": 1, "q": 5})",
                    b_ = R"({"image": "b.png", "caption": "z", "kwords": []})";
  const std::string both_ = "[" + a_ + "," + b_ + "]";
  TemporaryFolder folder_;
};

TEST_F(ContentDigests, HowItIsWrittenMakesNoDifference) {
  EXPECT_TRUE(changes(both_, a_ + "\n" + b_ + "\n").empty()) << "list or lines";
  EXPECT_TRUE(changes(both_, R"([ {"kwords": [], "q": 7, "caption": ["x",  "\u0079"], "image": "a.png", "image_id": 1},
                                  {"image": "b.png", "caption": ["z"]}])")
                  .empty())
      << "order of fields, fields and concepts that nobody reads, escapes";
}

TEST_F(ContentDigests, SpellingOfNamesAndBlanksAroundCaptionsMakeNoDifference) {
  const std::string other = R"([{"image": "./x/..//a.png", "caption": ["x ", "\ny"], "kwords": ["k"], "image_id": 1},
                               {"image": "./b.png", "caption": " z\t"}])";
  EXPECT_TRUE(changes(both_, other).empty());
  const std::vector<ContentDigest> now = of({other});
  std::vector<ContentDigest> before = of({both_});
  before[0].plain.clear();  // of a checkpoint from before it was kept
  EXPECT_FALSE(content_changes(before, now).empty());
}

TEST_F(ContentDigests, SaysWhatDiffers) {
  const auto expect = [&](const std::string& now, const std::string& what, const ManifestOptions& options = {}) {
    const std::vector<std::string> found = changes(both_, now, options);
    ASSERT_EQ(found.size(), 1u) << now;
    EXPECT_TRUE(contains(found[0], what)) << found[0];
    EXPECT_TRUE(contains(found[0], "m0.json")) << found[0];
  };
  const auto with = [&](const std::string& part, const std::string& by) {
    std::string text = both_;
    return text.replace(text.find(part), part.size(), by);
  };
  expect("[" + b_ + "," + a_ + "]", "the same records in another order");
  expect("[" + a_ + "]", "1 records where there were 2");
  expect(with("\"z\"", "\"Z\""), "the same pictures with other captions");
  expect(with("\"x\", \"y\"", "\"y\", \"x\""), "the same pictures with other captions");
  expect(with("\"x\", \"y\"", "\"x y\""), "the same pictures with other captions");
  expect(with("\"image_id\": 1", "\"image_id\": \"1\""), "the same pictures with other captions, concepts or ids");
  expect(with("b.png", "c.png"), "other pictures");
  expect(with("[\"k\"]", "[\"K\"]"), "with other captions, concepts", {.schema = {.concepts = true}});
  const Schema column{.columns = {{.field = "q", .type = ColumnType::kLabel, .required = false}}};
  expect(with("\"q\": 5", "\"q\": 6"), "the same pictures", {.schema = column});
}

TEST_F(ContentDigests, ManifestsAreComparedInTheirOrder) {
  const std::string a = "[" + a_ + "]", b = "[" + b_ + "]";
  EXPECT_TRUE(content_changes(of({a, b}), of({a, b})).empty());
  EXPECT_EQ(content_changes(of({a, b}), of({b, a})), std::vector<std::string>{"the same manifests in another order"});
  const std::vector<std::string> fewer = content_changes(of({a, b}), of({a}));
  ASSERT_EQ(fewer.size(), 1u);
  EXPECT_TRUE(contains(fewer[0], "1 manifests (the first ")) << fewer[0];
  EXPECT_TRUE(contains(content_changes(of({a, b}), of({a, a}))[0], "m1.json has other pictures"));
}

}  // namespace
}  // namespace vicha
