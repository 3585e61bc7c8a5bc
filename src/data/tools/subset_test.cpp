#include "data/tools/subset.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "data/manifest/data_test_support.h"
#include "data/manifest/rewrite.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT
using Ordered = nlohmann::ordered_json;

std::vector<std::int64_t> numbers_in(const fs::path& file) {
  std::vector<std::int64_t> numbers;
  for_each_record(file, [&](const Ordered& record, std::int64_t) { numbers.push_back(record["i"]); });
  return numbers;
}

fs::path numbered(const TemporaryFolder& folder, int n) {
  std::string content;
  for (int i = 0; i < n; ++i) content += "{\"i\": " + std::to_string(i) + "}\n";
  return folder.write("m.jsonl", content);
}

TEST(ShareTest, ReadsPercentAndFractionsAndIsExact) {
  EXPECT_EQ(Share::parse("29%", "--keep").of(100), 29);
  EXPECT_EQ(Share::parse("0.29", "--keep").of(100), 29);
  EXPECT_EQ(Share::parse("70 %", "--keep").of(9), 6);
  EXPECT_EQ(Share::parse("0.1%", "--keep").of(999), 0);
  EXPECT_EQ(Share::parse("0.1%", "--keep").at_least_one_of(999), 1);
  EXPECT_EQ(Share::parse("0.1%", "--keep").at_least_one_of(0), 0);
  EXPECT_EQ(Share::parse("100%", "--keep").of(7), 7);
  EXPECT_EQ(Share::parse("1", "--keep").of(7), 7);
  EXPECT_EQ(Share::parse("33.3333333333%", "--keep").of(3'000'000'000'000), 999'999'999'999);
  EXPECT_EQ(Share::parse("12.5 %", "--keep").describe(), "12.5 %");
  EXPECT_EQ(Share::parse("1/8", "--keep").of(17), 2);
  EXPECT_EQ(Share::parse("1/3", "--keep").of(3), 1) << "which no decimal number says";
  EXPECT_EQ(Share::parse("7/7", "--keep").of(9), 9);
  EXPECT_EQ(Share::parse("1/8", "--keep").describe(), "12.5 %");
  for (const char* bad :
       {"",    "%",   "0",   "0%",  "101%", "1.01", "-5%",  "70",    "7O%",   "1.2.3%", "nan",  "0.1234567890123",
        "9/8", "0/8", "1/0", "0/0", "/8",   "1/",   "1/8%", "1/2/4", "0.5/1", "1/0.5",  "-1/8", "1/1234567890123"}) {
    EXPECT_THROW(Share::parse(bad, "--keep"), UsageError) << bad;
  }
}

TEST(SubsetTest, TakesTheFirstRecords) {
  const TemporaryFolder folder;
  const fs::path in = numbered(folder, 10);
  const SubsetReport report = take_subset(in, folder / "out.jsonl", {.count = 3});
  EXPECT_EQ(report.records, 10);
  EXPECT_EQ(report.kept, 3);
  EXPECT_EQ(read_text(folder / "out.jsonl"), "{\"i\": 0}\n{\"i\": 1}\n{\"i\": 2}\n");
  EXPECT_EQ(take_subset(in, folder / "out.jsonl", {.count = 30}).kept, 10);
  EXPECT_EQ(take_subset(in, folder / "out.jsonl", {.share = Share::parse("45%", "")}).kept, 4);
  EXPECT_EQ(take_subset(in, folder / "out.jsonl", {.share = Share::parse("1%", "")}).kept, 1);
}

TEST(SubsetTest, DrawsExactlyThatManyInOrderBySeed) {
  const TemporaryFolder folder;
  const fs::path in = numbered(folder, 1000);
  std::set<std::vector<std::int64_t>> drawn;
  std::vector<int> times(1000);
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    EXPECT_EQ(take_subset(in, folder / "out.json", {.count = 250, .random = true, .seed = seed}).kept, 250);
    const std::vector<std::int64_t> numbers = numbers_in(folder / "out.json");
    EXPECT_EQ(numbers.size(), 250u);
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
    EXPECT_EQ(std::set(numbers.begin(), numbers.end()).size(), 250u);
    for (const std::int64_t i : numbers) ++times[static_cast<std::size_t>(i)];
    drawn.insert(numbers);
  }
  EXPECT_EQ(drawn.size(), 40u);
  // 40 draws at 1/4 each: mean 10, deviation 2.7. First and last records are drawn as often as others.
  EXPECT_EQ(std::count(times.begin(), times.end(), 0), 0);
  EXPECT_LT(*std::max_element(times.begin(), times.end()), 24);
  take_subset(in, folder / "again.json", {.count = 250, .random = true, .seed = 7});
  EXPECT_TRUE(drawn.contains(numbers_in(folder / "again.json")));
}

TEST(SubsetTest, RefusesUnclearQuestions) {
  const TemporaryFolder folder;
  const fs::path in = numbered(folder, 3);
  EXPECT_THROW(take_subset(in, folder / "out.json", {}), UsageError);
  EXPECT_THROW(take_subset(in, folder / "out.json", {.count = 0}), UsageError);
  EXPECT_THROW(take_subset(in, folder / "out.json", {.count = 1, .share = Share::parse("1", "")}), UsageError);
  EXPECT_FALSE(fs::exists(folder / "out.json"));
}

TEST(JoinTest, CorrectsRelativeNamesAndTellsIdsApart) {
  const TemporaryFolder folder;
  const fs::path coco = folder.write("coco/train.json", R"([{"image": "a.png", "image_id": 42, "n": 1.50}])");
  const fs::path sbu = folder.write("sbu/train.jsonl", R"({"image": "../b.png", "image_id": "42"})"
                                                       "\n"
                                                       R"({"image": "/data/c.png",  "n": 1.50})");
  EXPECT_EQ(join_manifests({coco, sbu}, folder / "all/all.jsonl"), 3);
  EXPECT_EQ(read_text(folder / "all/all.jsonl"),
            "{\"image\":\"../coco/a.png\",\"image_id\":\"train/42\",\"n\":1.50}\n"
            "{\"image\":\"../b.png\",\"image_id\":\"train-2/42\"}\n"
            "{\"image\": \"/data/c.png\",  \"n\": 1.50}\n");
  join_manifests({coco, sbu}, folder / "coco/all.jsonl", {.keep_ids = true});
  EXPECT_EQ(read_text(folder / "coco/all.jsonl"),
            "{\"image\": \"a.png\", \"image_id\": 42, \"n\": 1.50}\n"
            "{\"image\": \"../b.png\", \"image_id\": \"42\"}\n"
            "{\"image\": \"/data/c.png\",  \"n\": 1.50}\n");
  EXPECT_THROW(join_manifests({}, folder / "all.json"), UsageError);
  EXPECT_THROW(join_manifests({coco, folder.write("x.json", "[{}]")}, folder / "all.json"), DataError);
  EXPECT_FALSE(fs::exists(folder / "all.json"));
}

TEST(JoinTest, CorrectsTheNamesOfAllPictures) {
  const TemporaryFolder folder;
  const fs::path pairs = folder.write("nlvr/dev.jsonl", R"({"images": ["a.png", "/data/b.png"], "sentence": "s"})"
                                                        "\n"
                                                        R"({"image": "c.png", "image2": "d.png"})");
  join_manifests({pairs}, folder / "all.jsonl");
  EXPECT_EQ(read_text(folder / "all.jsonl"),
            "{\"images\":[\"nlvr/a.png\",\"/data/b.png\"],\"sentence\":\"s\"}\n"
            "{\"image\":\"nlvr/c.png\",\"image2\":\"nlvr/d.png\"}\n");
}

std::string refusal_of_join(const std::string& records) {
  const TemporaryFolder folder;
  try {
    join_manifests({folder.write("a/ids.jsonl", records), folder.write("b/x.jsonl", R"({"image": "a.png"})")},
                   folder / "all.jsonl");
  } catch (const DataError& error) {
    EXPECT_FALSE(fs::exists(folder / "all.jsonl"));
    return error.what();
  }
  return "";
}

TEST(JoinTest, RefusesIdsThatItWouldChange) {
  const auto record = [](const std::string& id) { return R"({"image": "a.png", "image_id": )" + id + "}\n"; };
  for (const auto& [records, expected] : std::vector<std::pair<std::string, std::string>>{
           {record("1") + record("\"1\""), "would become one"},
           {record("\"x\"") + record("\"-7\"") + record("8"), "would become one"},
           {record("123456789012345678901234567890"), "an integer of more than 64 bits"},
           {record("NaN"), "field \"image_id\" is NaN, not a string or an integer"},
           {record("null"), "field \"image_id\" is null"},
           {record("1.0"), "field \"image_id\" is a real number"},
           {R"({"image": "a.png", "image": "b.png"})", "field \"image\" stands there twice"}}) {
    EXPECT_TRUE(contains(refusal_of_join(records), expected)) << records << refusal_of_join(records);
  }
  EXPECT_EQ(refusal_of_join(record("1") + record("\"x\"") + record("-2")), "");
}

TEST(JoinTest, LeavesAddressesAndFieldsThatNobodyReads) {
  const TemporaryFolder folder;
  const std::vector<std::string> foreign = {
      "http://a/b.png", "s3://a/b.png",  "file:///a/b.png", "data:image/png;base64,AA//",
      "C:\\\\x.png",    "~/y.png",       "$HOME/y.png",     "\\\\\\\\host\\\\a.png",
      "/data/b.png",    "https:/a/b.png"};
  std::string records, expected;
  for (const std::string& name : foreign) {
    records += "{\"image\": \"" + name + "\", \"x\": 1e999}\n";
  }
  expected = records;
  records +=
      R"({"image": "./a:b.png", "images": ["c.png", "/d.png"], "n": 123456789012345678901234567890, "m": [1e-400, NaN]})"
      "\n";
  expected +=
      R"({"image":"m/a:b.png","images":["m/c.png","/d.png"],"n":123456789012345678901234567890,"m":[1e-400,NaN]})"
      "\n";
  join_manifests({folder.write("m/m.jsonl", records)}, folder / "all.jsonl");
  EXPECT_EQ(read_text(folder / "all.jsonl"), expected);
}

TEST(JoinTest, OneFileKeepsItsIds) {
  const TemporaryFolder folder;
  const fs::path coco = folder.write("coco/train.json", R"([{"image": "a.png", "image_id": 42}])");
  join_manifests({coco}, folder / "all.json");
  EXPECT_EQ(read_text(folder / "all.json"), "[\n{\"image\":\"coco/a.png\",\"image_id\":42}\n]\n");
}

}  // namespace
}  // namespace vicha
