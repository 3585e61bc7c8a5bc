#include "data/manifest/record_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "data/manifest/data_test_support.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

struct Read {
  std::vector<std::string> records, problems;  // "2 {...}"; "3 (line 4) what"
};

Read read_records_of(const fs::path& file) {
  Read read;
  RecordReader reader(file, [&](const ManifestProblem& problem) {
    const std::size_t line = problem.where.find("(line");
    read.problems.push_back(fmt::format("{} {} {}", problem.record,
                                        line == std::string::npos ? "" : problem.where.substr(line), problem.what));
  });
  RecordText text;
  while (reader.next(text)) read.records.push_back(fmt::format("{} {}", text.number, text.json));
  EXPECT_FALSE(reader.next(text));
  return read;
}

Read read_all(std::string_view content) {
  const TemporaryFolder folder;
  return read_records_of(folder.write("m.json", content));
}

TEST(RecordReader, TellsAllThatIsWrongWithLinesAndReadsTheRest) {
  const Read read = read_all("{\"a\": 1}\n{broken\n7\n\"x\" y\n[{}]\n{} {}\n{\"a\":\n{\"b\": 2}\nnope\n{}");
  EXPECT_EQ(read.records, (std::vector<std::string>{"0 {\"a\": 1}", "7 {\"b\": 2}", "9 {}"}));
  ASSERT_EQ(read.problems.size(), 7u);
  EXPECT_TRUE(read.problems[0].starts_with("1 (line 2) not JSON at byte ")) << read.problems[0];
  EXPECT_EQ(read.problems[1], "2 (line 3) the record is a number, not an object");
  EXPECT_EQ(read.problems[2], "3 (line 4) the record is a string, not an object");
  EXPECT_EQ(read.problems[3], "4 (line 5) the record is a list, not an object");
  EXPECT_EQ(read.problems[4], "5 (line 6) not JSON: text after the record's end");
  EXPECT_EQ(read.problems[5], "6 (line 7) not JSON: the line ends in the middle of the record");
  EXPECT_TRUE(read.problems[6].starts_with("8 (line 9) not JSON at byte ")) << read.problems[6];
}

TEST(RecordReader, GoesOnInAListBehindWhatIsNoObject) {
  const Read read = read_all("[{},\n null, [1, \"]\"],\n 1.5, {\"a\": []}]");
  EXPECT_EQ(read.records, (std::vector<std::string>{"0 {}", "4 {\"a\": []}"}));
  EXPECT_EQ(read.problems, (std::vector<std::string>{"1 (line 2) the record is null, not an object",
                                                     "2 (line 2) the record is a list, not an object",
                                                     "3 (line 3) the record is a real number, not an object"}));
}

TEST(RecordReader, EndsAListAtASyntaxErrorAndNamesItsLine) {
  const Read no_quote = read_all("[{},\n{\"a\": \"x},\n{\"b\": 1}]");
  EXPECT_EQ(no_quote.records.size(), 1u);
  ASSERT_EQ(no_quote.problems.size(), 1u);
  EXPECT_TRUE(no_quote.problems[0].starts_with("1 (line 2) not JSON: ")) << no_quote.problems[0];

  // Without its bracket the second record takes in all that follows, more than is kept of a record.
  std::string no_bracket = "[{},\n{\"a\": {\"x\": 1},\n";
  for (int i = 0; i < 100'000; ++i) no_bracket += "{\"image\": \"some/where/in/a/folder/00000.jpg\"},\n";
  const Read missing = read_all(no_bracket + "{}]");
  EXPECT_EQ(missing.records.size(), 1u);
  ASSERT_EQ(missing.problems.size(), 1u);
  EXPECT_TRUE(missing.problems[0].starts_with("1 (line 3) not JSON at byte ")) << missing.problems[0];
}

TEST(RecordReader, PassesOverARecordThatIsTooLong) {
  const std::string large = "{\"a\": \"" + std::string(5 << 20, 'x') + "\",\n\n\"b\": 1}";
  const Read read = read_all("[{},\n" + large + ",\n7, {\"b\": 1}]");
  EXPECT_EQ(read.records, (std::vector<std::string>{"0 {}", "3 {\"b\": 1}"}));
  ASSERT_EQ(read.problems.size(), 2u);
  EXPECT_TRUE(contains(read.problems[0], fmt::format("has {} bytes, more than 4194304", large.size())));
  EXPECT_TRUE(read.problems[1].starts_with("2 (line 5) ")) << read.problems[1];
}

TEST(RecordReader, ReadsRecordsOverTheEdgesOfItsBuffer) {
  std::string content = "[";
  std::vector<std::string> expected;
  for (int i = 0; i < 20'000; ++i) {
    const std::string record =
        fmt::format(R"({{"n": "{}\"{{", "m": [{}]}})", std::string(static_cast<std::size_t>(i % 37), 'x'), i);
    content += (i == 0 ? "" : ",\n") + record;
    expected.push_back(fmt::format("{} {}", i, record));
  }
  const Read read = read_all(content + "]");
  EXPECT_EQ(read.records, expected);
  EXPECT_TRUE(read.problems.empty());
}

TEST(RecordReader, TellsWhatIsNoManifest) {
  EXPECT_EQ(read_all("").problems, std::vector<std::string>{"0  is empty"});
  EXPECT_EQ(read_all("\xEF\xBB?").problems, std::vector<std::string>{"0  is not text"});
  EXPECT_EQ(read_all("7").problems, std::vector<std::string>{"0  is neither a JSON list nor JSON lines"});
  EXPECT_TRUE(read_all("[]").problems.empty());
  EXPECT_THROW(read_records_of(fs::path("/nowhere/m.json")), DataError);
}

}  // namespace
}  // namespace vicha
