#include "data/tools/titles.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/manifest/data_test_support.h"
#include "data/manifest/rewrite.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

TEST(TitlesTest, JoinsTheObjectsOfEachCaption) {
  const TemporaryFolder folder;
  const fs::path in = folder.write("m.jsonl", R"({"image":"a.png","caption":"Two brown dogs on a beach.","x":1})"
                                              "\n"
                                              R"({"image":"b.png","caption":["A man rides a horse.","..."]})"
                                              "\n"
                                              R"({"image":"c.png","caption":[]})"
                                              "\n");
  const TitleReport report = add_titles(in, folder / "out.jsonl", {.threads = 2});
  EXPECT_EQ(read_text(folder / "out.jsonl"),
            R"({"image":"a.png","caption":"Two brown dogs on a beach.","x":1,"title":"dog and beach"})"
            "\n"
            R"({"image":"b.png","caption":["A man rides a horse.","..."],"title":["man and horse",""]})"
            "\n"
            R"({"image":"c.png","caption":[],"title":[]})"
            "\n");
  EXPECT_EQ(report.records, 3);
  EXPECT_EQ(report.captions, 3);
  EXPECT_EQ(report.untitled, 1);
}

TEST(TitlesTest, ThreadsDoNotMatter) {
  const TemporaryFolder folder;
  nlohmann::ordered_json records = nlohmann::ordered_json::array();
  const std::vector<std::string> things = {"cat", "boat", "tree", "tall house", "plate of pasta"};
  for (std::size_t i = 0; i < 200; ++i) {
    records.push_back(
        {{"caption", "a " + things[i % 5] + " beside a " + things[i / 5 % 5] + " and a " + things[i / 25 % 5]}});
  }
  const fs::path in = folder.write("m.json", records.dump());
  TitleOptions options{.field = "t", .parser = {.links = LinkUse::kNever}, .threads = 1};
  add_titles(in, folder / "one.json", options);
  options.threads = 4;
  add_titles(in, folder / "four.json", options);
  EXPECT_EQ(read_text(folder / "one.json"), read_text(folder / "four.json"));
  EXPECT_NE(read_text(folder / "one.json").find("\"t\":\"cat and boat"), std::string::npos);
}

TEST(TitlesTest, ARepeatGoesOnWhereAKillStoppedIt) {
  const TemporaryFolder folder;
  std::string records;
  for (int i = 0; i < 9000; ++i) records += R"({"caption":["a cat and a boat )" + std::to_string(i) + "\"]}\n";
  const fs::path in = folder.write("m.jsonl", records), out = folder / "out.jsonl", kept = folder / "out.jsonl.partial";
  TitleOptions options{.parser = {.links = LinkUse::kNever}};
  add_titles(in, folder / "whole.jsonl", options);
  TitleOptions killed = options;
  killed.progress = [](std::int64_t done) {
    if (done > 4096) throw Error("killed");
  };
  EXPECT_THROW(add_titles(in, out, killed), Error);
  EXPECT_FALSE(fs::exists(out));
  ASSERT_TRUE(fs::exists(kept));
  fs::resize_file(kept, fs::file_size(kept) - 3);
  const TitleReport report = add_titles(in, out, options);
  EXPECT_EQ(report.records_known, 2 * 4096 - 1);
  EXPECT_EQ(report.captions, 9000);
  EXPECT_EQ(read_text(out), read_text(folder / "whole.jsonl"));
  EXPECT_FALSE(fs::exists(kept));

  // Of other captions, what was found is not taken; the same before them is.
  EXPECT_THROW(add_titles(in, out, killed), Error);
  const std::string changed = R"({"caption":["a dog"]})";
  const std::size_t second = records.find('\n') + 1;
  folder.write("m.jsonl", records.substr(0, second) + changed + records.substr(records.find('\n', second)));
  EXPECT_EQ(add_titles(in, out, options).records_known, 1);
  EXPECT_NE(read_text(out).find("{\"caption\":[\"a dog\"],\"title\":[\"dog\"]}"), std::string::npos);
}

TEST(TitlesTest, ARecordWithoutCaptionIsAnError) {
  const TemporaryFolder folder;
  const fs::path in = folder.write("m.json", R"([{"image": "a.png"}])");
  EXPECT_THROW(add_titles(in, folder / "out.json"), DataError);
  EXPECT_FALSE(fs::exists(folder / "out.json"));
}

}  // namespace
}  // namespace vicha
