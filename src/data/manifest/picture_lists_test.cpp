#include "data/manifest/picture_lists.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/manifest/data_test_support.h"
#include "data/manifest/manifest.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

Schema pair_schema() {
  return {.caption = false,
          .concepts = true,
          .columns = {{.field = "image2", .type = ColumnType::kImage, .beside = "kwords2"},
                      {.field = "sentence", .type = ColumnType::kText}}};
}

TEST(PictureLists, AreReadAsAFieldForEachPicture) {
  const TemporaryFolder folder;
  const auto file = folder.write(
      "pairs.json", R"([{"images": ["a.png", "b.png"], "sentence": "s", "kwords": ["all"], "kwords1": ["x"],
  "kwords2": ["y", "z"]},
 {"image": "c.png", "image2": "a.png", "sentence": "t", "kwords": [], "kwords2": ["w"]}])");
  const Manifest manifest = Manifest::load({file}, {.schema = pair_schema()});
  ASSERT_EQ(manifest.size(), 2);
  EXPECT_EQ(manifest.image_numbers(0), (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(manifest.image_numbers(1), (std::vector<std::int64_t>{2, 0}));
  EXPECT_EQ(manifest.concepts(0), (std::vector<std::string_view>{"x"}));
  EXPECT_EQ(manifest.further_concepts(0, 0), (std::vector<std::string_view>{"y", "z"}));
  EXPECT_TRUE(manifest.json(0).find("\"images\"") != std::string::npos) << "the record as it stands";
  const auto fields = [](const fs::path& of) {
    std::vector<std::string> names;
    for (const ColumnSpec& spec : columns_of_further_pictures(of)) names.push_back(spec.field + " " + spec.beside);
    return names;
  };
  EXPECT_EQ(fields(file), std::vector<std::string>{"image2 kwords2"});
  EXPECT_EQ(fields(folder.write("apart.json", R"([{"image": "a", "image2": "b", "image3": "c", "image5": "d"}])")),
            (std::vector<std::string>{"image2 kwords2", "image3 kwords3"}));
  EXPECT_TRUE(fields(folder.write("one.json", R"([{"image": "a", "caption": "x"}])")).empty());
}

TEST(PictureLists, ManifestsOfBothFormsAreReadTogether) {
  const TemporaryFolder folder;
  const std::vector<fs::path> files = {folder.write("one.json", R"([{"image": "a.png", "caption": "x"}])"),
                                       folder.write("two.json", R"([{"images": ["b.png", "c.png"]}])")};
  const Schema schema{.caption = false, .columns = columns_of_further_pictures(files)};
  for (const auto& order : {files, std::vector<fs::path>(files.rbegin(), files.rend())}) {
    const Manifest manifest = Manifest::load(order, {.schema = schema});
    EXPECT_EQ(manifest.size(), 2);
    EXPECT_EQ(manifest.image_count(), 3);
  }
}

TEST(PictureLists, MissingPicturesAreToldByRecordAndPlace) {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& record) {
    const auto file =
        folder.write("bad.jsonl", R"({"images": ["a", "b"], "sentence": "s", "kwords1": [], "kwords2": []})"
                                  "\n" +
                                      record + "\n");
    std::string all;
    std::int64_t read = Manifest::load({file}, {.schema = pair_schema()}, [&](const ManifestProblem& p) {
                          all += p.where + ": " + p.what + "\n";
                        }).size();
    EXPECT_EQ(read, 1);
    return all;
  };
  const std::string one = message(R"({"images": ["a"], "sentence": "s", "kwords1": [], "kwords2": []})");
  EXPECT_NE(one.find("record 1"), std::string::npos) << one;
  EXPECT_NE(one.find("names 1 pictures, not 2"), std::string::npos) << one;
  EXPECT_EQ(std::count(one.begin(), one.end(), '\n'), 1) << one;
  const std::string second = message(R"({"images": ["a", null], "sentence": "s", "kwords1": [], "kwords2": []})");
  EXPECT_NE(second.find("picture 2 is null"), std::string::npos) << second;
  EXPECT_NE(message(R"({"images": ["a", "b"], "sentence": "s", "kwords2": []})").find("\"kwords1\""),
            std::string::npos);
  EXPECT_NE(message(R"({"images": ["a", "b"], "sentence": "s", "kwords1": []})").find("\"kwords2\" is missing"),
            std::string::npos);
  EXPECT_NE(message(R"({"images": "a", "sentence": "s"})").find("is not a list of 2"), std::string::npos);
}

}  // namespace
}  // namespace vicha
