#include "data/tools/check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/manifest/data_test_support.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

class CheckTest : public ::testing::Test {
 protected:
  CheckReport check(std::string_view manifest, CheckOptions options = {}) {
    options.threads = 3;
    return check_manifests({folder_.write("m.jsonl", manifest)}, options);
  }
  void image(std::string_view name, std::uint64_t seed) { folder_.write(name, noise_png(seed, 20, 18)); }

  TemporaryFolder folder_;
};

TEST_F(CheckTest, SaysThatAGoodSetIsGood) {
  image("a.png", 1);
  image("b.png", 2);
  const CheckReport report = check(R"({"image": "a.png", "caption": ["A cat", "two words"]}
                                      {"image": "b.png", "caption": "A cat"})");
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(report.records, 2);
  EXPECT_EQ(report.captions, 3);
  EXPECT_EQ(report.images, 2);
  EXPECT_EQ(report.smallest_side, 18);
  EXPECT_EQ(report.largest_side, 20);
  EXPECT_EQ(report.image_bytes, static_cast<std::int64_t>(noise_png(1, 20, 18).size() + noise_png(2, 20, 18).size()));
  EXPECT_EQ(report.longest_words, 2);
  for (const Finding& finding : report.findings) EXPECT_EQ(finding.count, 0) << finding.key;
  EXPECT_TRUE(contains(report.to_table(), "No problems"));
}

TEST_F(CheckTest, LooksAtEveryPictureOfARecord) {
  image("a.png", 1);
  image("b.png", 2);
  folder_.write("text.png", "this is a text");
  const std::string pairs = R"({"images": ["a.png", "b.png"], "sentence": "s", "kwords1": ["x"], "kwords2": []}
{"images": ["b.png", "gone.png"], "sentence": "t", "kwords1": ["x"], "kwords2": ["y"]}
{"images": ["text.png", "a.png"], "sentence": "u", "kwords1": ["x"], "kwords2": ["y"]}
{"images": ["a.png"], "sentence": "v", "kwords1": ["x"], "kwords2": ["y"]}
)";
  CheckOptions options;
  options.manifest.schema.concepts = true;
  const CheckReport report = check(pairs, options);
  EXPECT_EQ(report.records, 3);
  EXPECT_EQ(report.images, 4);
  EXPECT_EQ(report.finding("missing_pictures").count, 1);
  EXPECT_TRUE(contains(report.finding("missing_pictures").examples[0], "record 1"));
  EXPECT_EQ(report.finding("unknown_formats").count, 1);
  EXPECT_EQ(report.finding("wrong_fields").count, 1);
  EXPECT_TRUE(contains(report.finding("wrong_fields").examples[0], "names 1 pictures, not 2"));
  ASSERT_EQ(report.finding("empty_concepts").count, 1);
  EXPECT_TRUE(contains(report.finding("empty_concepts").examples[0], "picture 2"));
  const CheckReport apart = check(R"({"image": "a.png", "image2": "gone.png", "sentence": "s"}
{"image": "a.png", "image2": "b.png", "sentence": "s"})");
  EXPECT_EQ(apart.finding("missing_pictures").count, 1);
  EXPECT_EQ(apart.finding("wrong_fields").count, 0) << "no captions are asked for";
}

/// What a task reads: its texts are cleaned and counted as captions are.
TEST_F(CheckTest, LooksAtTheFieldsThatASchemaNames) {
  image("a.png", 1);
  CheckOptions options;
  options.manifest.schema = {
      .caption = false,
      .columns = {{.field = "question", .type = ColumnType::kText}, {.field = "answer", .type = ColumnType::kAnswers}},
      .text = {.field = "question", .cleaning = TextCleaning::kQuestion}};
  options.max_words = 3;
  const CheckReport report = check(R"({"image": "a.png", "question": "what is it?", "answer": "a cat"}
{"image": "a.png", "question": "what is this thing?", "answer": "a cat"}
{"image": "a.png", "question": "?", "answer": "a cat"}
{"image": "a.png", "question": "what is it?"}
)",
                                   options);
  EXPECT_EQ(report.records, 2);
  EXPECT_EQ(report.longest_words, 4);
  EXPECT_EQ(report.finding("long_captions").count, 1);
  ASSERT_EQ(report.finding("wrong_fields").count, 2);
  EXPECT_TRUE(contains(report.finding("wrong_fields").examples[0], "\"question\" has no words"));
  EXPECT_TRUE(contains(report.finding("wrong_fields").examples[1], "\"answer\" is missing"));
}

TEST_F(CheckTest, FindsEachKindAndGoesOn) {
  image("good.png", 1);
  image("copy.png", 1);
  image("other.png", 2);
  folder_.write("text.png", "this is a text");
  folder_.write("empty.png", "");
  const std::string png = noise_png(3);
  folder_.write("short.png", png.substr(0, png.size() / 2));
  fs::copy_file(fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/images/bad/zero_width.png", folder_ / "broken.png");
  std::string many;
  for (int i = 0; i < 31; ++i) many += "word ";
  const CheckReport report = check(fmt::format(R"({{"image": "good.png", "caption": ["A cat", "A dog", "A cat"]}}
{{"image": "copy.png", "caption": "A cat", "image_id": 1}}
{{"image": "other.png", "caption": "A cat", "image_id": 1}}
{{"image": "gone.png", "caption": "A cat"}}
{{"image": "text.png", "caption": "{}"}}
{{"image": "empty.png", "caption": "!?"}}
{{"image": "short.png", "caption": "A cat"}}
{{"image": "broken.png", "caption": 3}}
{{"image": "broken.png", "caption": "x"}}
{{"image": "good.png", "caption": "A dog", "image_id": 8}}
{{"caption": "no picture" "broken"}}
)",
                                               many));
  const auto expect = [&](std::string_view key, std::int64_t count, std::string_view example) {
    const Finding& finding = report.finding(key);
    EXPECT_EQ(finding.count, count) << key;
    ASSERT_FALSE(finding.examples.empty()) << key;
    EXPECT_TRUE(contains(finding.examples[0], example)) << finding.examples[0];
  };
  EXPECT_FALSE(report.clean());
  EXPECT_EQ(report.records, 9);
  expect("wrong_fields", 2, "record 7 (line 8): field \"caption\" is a number");
  expect("several_image_ids", 1, "record 9 gives");
  expect("missing_pictures", 1, "record 3: " + (folder_ / "gone.png").string() + " does not exist");
  expect("unknown_formats", 1, "record 4: ");
  expect("corrupt_pictures", 2, "empty.png");
  expect("truncated_pictures", 1, "short.png");
  expect("shared_image_ids", 1, "record 2 gives");
  expect("empty_captions", 1, "record 5: nothing is left of \"!?\"");
  expect("equal_pictures", 1, "copy.png is the same file as " + (folder_ / "good.png").string());
  expect("repeated_captions", 2, "record 0 says the same");
  expect("long_captions", 1, "record 4: 31 words");

  const auto json = nlohmann::json::parse(report.to_json());
  EXPECT_EQ(json.at("clean"), false);
  EXPECT_EQ(json.at("findings").at("corrupt_pictures").at("count"), 2);
  EXPECT_EQ(json.at("findings").at("wrong_fields").at("examples").size(), 2u);
  EXPECT_TRUE(contains(report.to_table(), "gone.png does not exist"));
}

TEST_F(CheckTest, CountsTokensAndConceptsWhereAsked) {
  image("a.png", 1);
  CheckOptions options;
  options.tokenizer = small_tokenizer();
  options.max_tokens = 4;
  options.manifest.schema.concepts = true;
  const CheckReport report = check(R"({"image": "a.png", "caption": ["cats dogs", "cat dog"], "kwords": []})", options);
  EXPECT_EQ(report.longest_tokens, 5);
  EXPECT_EQ(report.finding("long_captions").count, 1);
  EXPECT_EQ(report.finding("empty_concepts").count, 1);
  EXPECT_TRUE(report.clean()) << "training copes with both";
}

TEST_F(CheckTest, SaysWhatItHasNotLookedAt) {
  const fs::path file = folder_.write("m.json", R"([{"image": "a.png", "caption": "x", "kwords": []}])");
  CheckOptions options{.decode_images = false};
  const CheckReport report = check_manifests({file}, options);
  for (const char* key : {"empty_concepts", "missing_pictures", "exif_turned"}) {
    EXPECT_FALSE(report.finding(key).looked) << key;
  }
  EXPECT_TRUE(report.finding("repeated_captions").looked);
  const std::string table = report.to_table();
  const std::size_t line = table.find("Records without any concept");
  EXPECT_TRUE(contains(table.substr(line, table.find('\n', line) - line), "not looked")) << table;
  EXPECT_TRUE(
      contains(report.to_json(-1), R"("empty_concepts":{"count":0,"problem":false,"examples":[],"looked":false})"));
  options.manifest.schema.concepts = true;
  EXPECT_EQ(check_manifests({file}, options).finding("empty_concepts").count, 1);
}

TEST_F(CheckTest, CaptionsOfWhichNothingCanBeSeenAreEmpty) {
  const fs::path file =
      folder_.write("m.json", R"([{"image": "a.png", "caption": ["\u200b", "\u200d \ufeff", "a\u200b"]}])");
  EXPECT_EQ(check_manifests({file}, {.decode_images = false}).finding("empty_captions").count, 2);
}

TEST_F(CheckTest, WrongChecksumsAndOrientationAreCountedAsWhatTheyAre) {
  const fs::path pictures = fs::path(VICHA_SOURCE_DIR) / "tests/golden/reported/pictures";
  std::string manifest;
  for (const char* name : {"badcrc_idat.png", "exif6.jpg", "plain.avif", "plain.tiff", "cmyk_noadobe.jpg"}) {
    manifest += fmt::format("{{\"image\": \"{}\", \"caption\": \"x\"}}\n", (pictures / name).string());
  }
  const CheckReport report = check(manifest);
  EXPECT_EQ(report.finding("wrong_checksums").count, 1);
  EXPECT_TRUE(contains(report.finding("wrong_checksums").examples[0], "record 0: "));
  EXPECT_EQ(report.finding("exif_turned").count, 1);
  EXPECT_TRUE(contains(report.finding("exif_turned").examples[0], "exif6.jpg has EXIF orientation 6"));
  for (const Finding& finding : report.findings) {
    EXPECT_EQ(finding.count, finding.key == "wrong_checksums" || finding.key == "exif_turned") << finding.key;
  }
}

TEST_F(CheckTest, KeepsOnlyTheFirstExamples) {
  std::string manifest;
  for (int i = 0; i < 50; ++i) manifest += fmt::format("{{\"image\": \"{}.png\", \"caption\": \"x\"}}\n", i);
  const CheckReport report = check(manifest);
  EXPECT_EQ(report.finding("missing_pictures").count, 50);
  ASSERT_EQ(report.finding("missing_pictures").examples.size(), 5u);
  EXPECT_TRUE(contains(report.finding("missing_pictures").examples[4], "record 4"));
  EXPECT_TRUE(contains(report.to_table(), "and 45 more"));
  CheckOptions quick;
  quick.decode_images = false;
  EXPECT_TRUE(check(manifest, quick).clean());
}

TEST_F(CheckTest, LooksAtEveryHostileImageWithoutFalling) {
  std::string manifest;
  std::int64_t count = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/images/bad")) {
    manifest += fmt::format("{{\"image\": \"{}\", \"caption\": \"x\"}}\n", entry.path().string());
    ++count;
  }
  ASSERT_GT(count, 3);
  const CheckReport report = check(manifest);
  std::int64_t found = 0;
  for (const char* key : {"corrupt_pictures", "truncated_pictures", "unknown_formats"})
    found += report.finding(key).count;
  EXPECT_EQ(found, count) << report.to_table();
}

}  // namespace
}  // namespace vicha
