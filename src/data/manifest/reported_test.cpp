// Manifests of the kinds that people report for programs like this one (tests/golden/reported/manifests).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "data/manifest/data_test_support.h"
#include "data/manifest/manifest.h"
#include "data/manifest/not_numbers.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

const fs::path kReported = fs::path(VICHA_SOURCE_DIR) / "tests/golden/reported/manifests";

struct Loaded {
  std::vector<std::string> captions, problems;  // "record: field: what. remedy"

  std::string problem_of(std::int64_t record) const {
    const auto found = std::find_if(problems.begin(), problems.end(), [&](const std::string& problem) {
      return problem.starts_with(std::to_string(record) + ": ");
    });
    return found == problems.end() ? "" : *found;
  }
};

Loaded load_leniently(const fs::path& file, const Schema& schema = {}) {
  Loaded loaded;
  const Manifest manifest = Manifest::load({file}, {.schema = schema}, [&](const ManifestProblem& problem) {
    EXPECT_TRUE(contains(problem.where, file.string())) << problem.where;
    loaded.problems.push_back(
        fmt::format("{}: {}: {}. {}", problem.record, problem.field, problem.what, problem.remedy));
  });
  for (std::int64_t i = 0; i < manifest.size(); ++i) loaded.captions.emplace_back(manifest.caption(i, 0));
  return loaded;
}

TEST(ReportedManifests, NaNInAFieldThatNobodyReadsCostsNothing) {
  for (const char* name : {"nan.json", "nan.jsonl"}) {
    const Loaded loaded = load_leniently(kReported / name);
    EXPECT_EQ(loaded.captions.size(), std::string(name) == "nan.json" ? 3u : 2u);
    EXPECT_TRUE(loaded.problems.empty()) << loaded.problems[0];
    EXPECT_NO_THROW(Manifest::load({kReported / name}));
  }
}

TEST(ReportedManifests, NaNInAFieldThatIsReadIsNamed) {
  const TemporaryFolder folder;
  const fs::path list = folder.write("m.json", R"([{"image": "a", "caption": NaN, "w": 1},
{"image": "b", "caption": ["x", Infinity], "w": 1},
{"image": "c", "caption": "y", "w": -Infinity},
{"image": "d", "caption": "NaN, Infinity", "w": 2, "z": [{"n": NaN}]},
{"image": "e", "caption": "big", "w": 1e999},
NaN,
{"image": NaN, "caption": "f", "w": 0}])");
  const Schema schema{.columns = {{.field = "w", .type = ColumnType::kLabel}}};
  const Loaded loaded = load_leniently(list, schema);
  EXPECT_EQ(loaded.captions, std::vector<std::string>{"NaN, Infinity"});
  ASSERT_EQ(loaded.problems.size(), 6u);
  EXPECT_TRUE(loaded.problem_of(0).starts_with("0: caption: field \"caption\" is NaN, not a string"))
      << loaded.problem_of(0);
  EXPECT_TRUE(contains(loaded.problem_of(0), "pandas")) << "the remedy";
  EXPECT_TRUE(contains(loaded.problem_of(1), "field \"caption\" holds Infinity")) << loaded.problem_of(1);
  EXPECT_TRUE(contains(loaded.problem_of(2), "field \"w\" holds -Infinity")) << loaded.problem_of(2);
  EXPECT_TRUE(contains(loaded.problem_of(4), "field \"w\" holds 1e999")) << loaded.problem_of(4);
  EXPECT_TRUE(contains(loaded.problem_of(5), "the record is NaN, not an object")) << loaded.problem_of(5);
  EXPECT_TRUE(contains(loaded.problem_of(6), "field \"image\" is NaN")) << loaded.problem_of(6);
  const std::string message = message_of([&] { Manifest::load({list}); });
  EXPECT_TRUE(contains(message, "m.json, record 0 (line 1): field \"caption\" is NaN")) << message;
}

TEST(ReportedManifests, FindsNotNumbersOutsideOfStringsOnly) {
  EXPECT_FALSE(without_not_numbers(R"({"a": "NaN", "b\"": [1, 1e30, true], "Infinity": "x\\"})"));
  const auto mended = without_not_numbers(R"({"NaN": NaN, "b": [-Infinity, nan,1e400]})");
  ASSERT_TRUE(mended);
  EXPECT_EQ(mended->text, R"({"NaN": null, "b": [null, null,null]})");
  ASSERT_EQ(mended->places.size(), 4u);
  EXPECT_EQ(mended->text.substr(mended->places[1].at, 4), "null");
  EXPECT_EQ(mended->places[1].word, "-Infinity");
  EXPECT_FALSE(without_not_numbers("{\"a\": None}"));
  EXPECT_FALSE(without_not_numbers("\"no end"));
  EXPECT_FALSE(without_not_numbers("\"\\"));
}

TEST(ReportedManifests, NamesThatAreNoFilesAreCalledWhatTheyAre) {
  const Loaded loaded = load_leniently(kReported / "paths.json");
  const auto expect = [&](std::int64_t record, std::string_view what, std::string_view remedy) {
    EXPECT_TRUE(contains(loaded.problem_of(record), what)) << record << " " << loaded.problem_of(record);
    EXPECT_TRUE(contains(loaded.problem_of(record), remedy)) << record << " " << loaded.problem_of(record);
  };
  expect(1, "begins with ~", "Write the whole path");
  expect(2, "is an address in the web, \"https://example.org/a.png\"", "Download");
  expect(3, "is an address, \"file://man/a.png\"", "Write the path alone: \"man/a.png\"");
  expect(6, "field \"image\" is empty", "");
  expect(9, "backslashes", "Write / for them");
  expect(10, "is a path of Windows", "Write the path that the file has on this machine");
  expect(11, "begins with a variable", "whole path");
  expect(12, "holds the picture itself (a data URI, \"data:image/png;base64\")", "base64 -d");
  expect(13, "names a member of an archive", "vicha data from-tar");
  EXPECT_EQ(loaded.problems.size(), 9u);
  EXPECT_EQ(loaded.captions, (std::vector<std::string>{"abs", "dot", "dotdot", "trailing space", "case"}));
}

TEST(ReportedManifests, HalfASurrogatePairCostsItsRecord) {
  const Loaded loaded = load_leniently(kReported / "surrogate.json");
  EXPECT_EQ(loaded.captions, std::vector<std::string>{"good 😀"});
  ASSERT_EQ(loaded.problems.size(), 1u);
  EXPECT_TRUE(contains(loaded.problems[0], "surrogate")) << loaded.problems[0];
  EXPECT_TRUE(contains(loaded.problems[0], "byte 40 of the file")) << loaded.problems[0];
  EXPECT_TRUE(contains(loaded.problems[0], "emoji")) << loaded.problems[0];
  const TemporaryFolder folder;
  const Loaded latin = load_leniently(
      folder.write("m.json", "[{\"image\": \"a\", \"caption\": \"caf\xe9\"}, {\"image\": \"b\", \"caption\": \"x\"}]"));
  EXPECT_EQ(latin.captions, std::vector<std::string>{"x"});
  EXPECT_TRUE(contains(latin.problem_of(0), "LATIN1")) << latin.problem_of(0);
}

TEST(ReportedManifests, ReadsWhatEditorsWrite) {
  for (const char* name : {"bom.jsonl", "crlf.jsonl"}) {
    const Loaded loaded = load_leniently(kReported / name);
    EXPECT_EQ(loaded.captions, (std::vector<std::string>{"a red car", "a blue boat", "a grey day"})) << name;
    EXPECT_TRUE(loaded.problems.empty()) << name;
  }
}

TEST(ReportedManifests, WrongTypesCostTheirRecords) {
  const Loaded loaded = load_leniently(kReported / "types.json");
  EXPECT_TRUE(loaded.captions.empty());
  EXPECT_EQ(loaded.problems.size(), 15u);
  EXPECT_TRUE(contains(loaded.problem_of(1), "\"image\" is a number, not a string"));
  EXPECT_TRUE(contains(loaded.problem_of(7), "\"image_id\" is a real number"));
  EXPECT_TRUE(contains(loaded.problem_of(12), "the record is a number"));
}

TEST(ReportedManifests, IntegersBeyond64BitsAreCalledThat) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& id) {
    const fs::path file = folder.write("m.json", R"([{"image": "a.png", "caption": "x", "image_id": )" + id + "}]");
    return message_of([&] { Manifest::load({file}, {}); });
  };
  for (const char* id : {"18446744073709551616", "123456789012345678901234567890", "-9223372036854775809"}) {
    const std::string message = refused(id);
    EXPECT_TRUE(contains(message, "is an integer of more than 64 bits")) << message;
    EXPECT_TRUE(contains(message, "record 0") && contains(message, "Write it as a string")) << message;
  }
  EXPECT_TRUE(contains(refused("1.0"), "a real number"));
  EXPECT_TRUE(contains(refused("1e3"), "a real number"));
  EXPECT_EQ(refused("18446744073709551615"), "");
}

TEST(ReportedManifests, FieldsThatStandTwiceAreNamedWhereTheyAreRead) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& record, const Schema& schema = {}) {
    const fs::path file = folder.write("m.json", "[" + record + "]");
    return message_of([&] { Manifest::load({file}, {.schema = schema}); });
  };
  const std::string twice =
      R"({"image": "a.png", "caption": "x", "image": "b.png", "q": 1, "q": 2, "n": {"image": 1}})";
  EXPECT_TRUE(contains(refused(twice), "record 0")) << refused(twice);
  EXPECT_TRUE(contains(refused(twice), "field \"image\" stands there twice")) << refused(twice);
  const std::string unread = R"({"image": "a.png", "caption": "x", "q": 1, "q": 2, "n": {"image": 1, "image": 2}})";
  EXPECT_EQ(refused(unread), "");
  const Schema column{.columns = {{.field = "q", .type = ColumnType::kLabel, .required = false}}};
  EXPECT_TRUE(contains(refused(unread, column), "field \"q\" stands there twice"));
}

TEST(ReportedManifests, OtherFormsAreNamedWithTheCommandThatConvertsThem) {
  const auto expect = [](const fs::path& file, std::string_view what, std::string_view remedy) {
    const std::string message = message_of([&] { Manifest::load({file}); });
    EXPECT_TRUE(message.starts_with(file.string())) << message;
    EXPECT_TRUE(contains(message, what)) << message;
    EXPECT_TRUE(contains(message, remedy)) << message;
  };
  const std::string convert = "`vicha data convert '";
  expect(kReported / "object.json", "COCO's form", convert + (kReported / "object.json").string());
  expect(kReported / "karpathy.json", "Karpathy's form", "--split train,restval");
  expect(kReported / "dictform.json", "captions for each picture's name", convert);
  expect(kReported / "data.csv", "a table (CSV)", convert);
  expect(kReported / "data.tsv", "(TSV)", convert);
  expect(kReported / "utf16.json", "UTF-16", "iconv -f UTF-16 -t UTF-8");
  const TemporaryFolder folder;
  const auto made = [&](std::string_view name, std::string_view content) { return folder.write(name, content); };
  expect(made("a", "{\"data\": [{\"image\": \"a.png\", \"caption\": \"x\"}], \"v\": 1}"), "a list of records in it",
         convert);
  expect(made("b", "{\"1\": {\"image\": \"a.png\", \"caption\": \"x\"}}"), "a record for each key", convert);
  expect(made("c", "{\"image\": {\"0\": \"a.png\"}, \"caption\": {\"0\": \"x\"}}"), "a column for each key", convert);
  expect(made("d", "{\"image\": [\"a.png\"], \"caption\": [\"x\"]}"), "a column for each key", convert);
  expect(made("e",
              "{\n \"info\": {},\n \"images\": [{\"id\": 1, \"file_name\": \"a.png\"}],\n \"annotations\": "
              "[{\"image_id\": 1, \"bbox\": [0, 0, 1, 1]}]}"),
         "without captions", "captions_train2017");
  expect(made("f", "PAR1\x15\x04"), "Parquet", "to_json");
  expect(made("g.gz", "\x1f\x8b\x08"), "gzip", "gunzip -k '" + (folder / "g.gz").string());
  expect(made("h.xlsx", "PK\x03\x04..."), "Excel", "CSV");
  expect(made("i", "<!DOCTYPE html><p>"), "web page", "");
  expect(made("j", "version https://git-lfs.github.com/spec/v1\n"), "Git LFS", "git lfs pull");
  expect(made("k", "{'image': 'a.png'}"), "not JSON", "json.dumps");
  expect(made("l", "[{\"image\": \"a.png\", \"caption\": None}]"), "not JSON at byte ", "json.dumps");
}

TEST(ReportedManifests, RecordsAreNotTakenForOtherForms) {
  const TemporaryFolder folder;
  for (const char* text :
       {"{\"annotations\": [{\"image_id\": 1, \"caption\": \"z\"}], \"caption\": \"x\", \"image\": \"a.png\"}",
        "{\"a.png\": \"y\", \"image\": \"a.png\", \"caption\": \"x\"}\n{\"image\": \"b\", \"caption\": \"x\"}"}) {
    EXPECT_GE(load_leniently(folder.write("m.jsonl", text)).captions.size(), 1u) << text;
  }
  // Two objects are lines, whatever they hold.
  const Loaded lines =
      load_leniently(folder.write("m.jsonl", "{\"a.png\": [\"x\"]}\n{\"image\": \"b\", \"caption\": \"y\"}"));
  EXPECT_EQ(lines.captions, std::vector<std::string>{"y"});
  EXPECT_TRUE(contains(lines.problem_of(0), "\"image\" is missing")) << lines.problem_of(0);
  EXPECT_TRUE(contains(lines.problem_of(0), "--image FIELD")) << lines.problem_of(0);
}

}  // namespace
}  // namespace vicha
