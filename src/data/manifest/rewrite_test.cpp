#include "data/manifest/rewrite.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/manifest/data_test_support.h"
#include "data/manifest/record_reader.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT
using Ordered = nlohmann::ordered_json;

const std::string kFirst = R"({"image": "a.png", "caption": "A \u00e4 {cat]", "id": 18446744073709551615, "x": 1.50})";
const std::string kSecond = R"({"z":-9223372036854775808,"image":"ß.png","caption":["\"}\\","b"],"a":{"y":1e-7}})";

bool keep_all(Ordered&, std::int64_t) { return true; }

std::string message_of(const std::string& content) {
  const TemporaryFolder folder;
  const fs::path in = folder.write("m.json", content);
  try {
    rewrite_manifest(in, folder / "out.json", keep_all);
  } catch (const DataError& error) {
    EXPECT_FALSE(fs::exists(folder / "out.json"));
    EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1) << "a temporary file is left";
    return error.what();
  }
  return "";
}

TEST(RewriteTest, RecordsThatNothingChangesKeepTheirBytes) {
  const TemporaryFolder folder;
  const fs::path in = folder.write("m.json", "\xEF\xBB\xBF [\r\n  " + kFirst + " ,\r\n" + kSecond + "\r\n]\r\n");
  EXPECT_EQ(rewrite_manifest(in, folder / "out.json", keep_all), 2);
  EXPECT_EQ(read_text(folder / "out.json"), "[\n" + kFirst + ",\n" + kSecond + "\n]\n");
}

TEST(RewriteTest, LinesStayLinesAndBlankOnesGo) {
  const TemporaryFolder folder;
  const fs::path in = folder.write("m.json", kFirst + "\r\n\r\n  " + kSecond + "  ");
  EXPECT_EQ(rewrite_manifest(in, folder / "out.json", keep_all), 2);
  EXPECT_EQ(read_text(folder / "out.json"), kFirst + "\n" + kSecond + "\n");
}

TEST(RewriteTest, ADifferentSuffixAsksForItsForm) {
  const TemporaryFolder folder;
  const fs::path list = folder.write("m.json", "[" + kFirst + "]"), lines = folder.write("m.jsonl", kFirst);
  rewrite_manifest(list, folder / "out.jsonl", keep_all);
  rewrite_manifest(lines, folder / "out.json", keep_all);
  rewrite_manifest(lines, folder / "out.txt", keep_all);
  EXPECT_EQ(read_text(folder / "out.jsonl"), kFirst + "\n");
  EXPECT_EQ(read_text(folder / "out.json"), "[\n" + kFirst + "\n]\n");
  EXPECT_EQ(read_text(folder / "out.txt"), kFirst + "\n");
}

TEST(RewriteTest, EditedRecordsKeepOrderNumbersAndUnknownFields) {
  const TemporaryFolder folder;
  const fs::path in = folder.write("m.json", "[" + kFirst + "," + kSecond + "]");
  const auto add_sim = [](Ordered& record, std::int64_t number) {
    record["sim"] = 0.25 * static_cast<double>(number);
    return true;
  };
  EXPECT_EQ(rewrite_manifest(in, in, add_sim), 2);  // in place
  EXPECT_EQ(
      read_text(in),
      "[\n{\"image\":\"a.png\",\"caption\":\"A \\u00e4 {cat]\",\"id\":18446744073709551615,\"x\":1.50,\"sim\":0.0},\n"
      "{\"z\":-9223372036854775808,\"image\":\"ß.png\",\"caption\":[\"\\\"}\\\\\",\"b\"],\"a\":{\"y\":1e-7},"
      "\"sim\":0.25}\n]\n");
}

TEST(RewriteTest, LeavesOutWhatEditRefuses) {
  const TemporaryFolder folder;
  std::string content = "[";
  for (int i = 0; i < 5000; ++i) content += (i == 0 ? "{\"i\":" : ",\n{\"i\":") + std::to_string(i) + "}";
  const fs::path in = folder.write("m.json", content + "]");
  const auto thirds = [](Ordered& record, std::int64_t number) {
    EXPECT_EQ(record["i"], number);
    return number % 3 == 1;
  };
  EXPECT_EQ(rewrite_manifest(in, folder / "out.json", thirds), 1667);
  std::int64_t next = 1;
  for_each_record(folder / "out.json", [&](const Ordered& record, std::int64_t number) {
    EXPECT_EQ(record["i"], next);
    EXPECT_EQ(number, (next - 1) / 3);
    next += 3;
  });
  EXPECT_EQ(next, 5002);
}

TEST(RewriteTest, RecordsOverSeveralLinesComeOutOnOne) {
  const TemporaryFolder folder;
  const fs::path in = folder.write("m.json", "[{\n \"image\": \"a.png\",\n \"n\": 1.50\n}]");
  rewrite_manifest(in, folder / "out.jsonl", keep_all);
  EXPECT_EQ(read_text(folder / "out.jsonl"), "{\"image\":\"a.png\",\"n\":1.50}\n");
}

TEST(RewriteTest, EmptyListIsAList) {
  const TemporaryFolder folder;
  EXPECT_EQ(rewrite_manifest(folder.write("m.json", " [ ] "), folder / "out.json", keep_all), 0);
  EXPECT_EQ(read_text(folder / "out.json"), "[]\n");
}

TEST(RewriteTest, NamesFileRecordAndLineOfWhatIsWrong) {
  const auto expect = [](const std::string& content, const std::string& where, const std::string& what) {
    const std::string message = message_of(content);
    EXPECT_NE(message.find("m.json" + where), std::string::npos) << content << "\n" << message;
    EXPECT_NE(message.find(what), std::string::npos) << content << "\n" << message;
  };
  expect("", ": ", "is empty");
  expect("\xEF\xBB", ": ", "is not text");
  expect("hello", ": ", "neither a JSON list nor JSON lines");
  expect("[\n{},\n{\"a\":1", ", record 1 (line 3)", "ends in the middle");
  expect("[\n{},\n", ", record 1 (line 3)", "ends in the middle");
  expect("[\n{}\n{}]", ", record 1 (line 3)", "no comma");
  expect("[{},]", ", record 1 (line 1)", "comma before");
  expect("[,{}]", ", record 0 (line 1)", "not an object");
  expect("[{}, \"a\"]", ", record 1 (line 1)", "not an object");
  expect("[{}]\n{}", ", record 1 (line 2)", "after the list's end");
  expect("[{},\n{\"a\":\n tru,\n\"b\":1}]", ", record 1 (line 3)", "not JSON");
  expect("[{\"a\":]}]", ", record 0 (line 1)", "not JSON");
  expect("[{\"a\":\"\xff\"}]", ", record 0 (line 1)", "UTF-8");
  expect("[{\"a\":\"\\ud800\"}]", ", record 0 (line 1)", "surrogate");
  expect("{\"a\":\n1}", ", record 0 (line 1)", "the line ends");
  expect("{}\n{} {}", ", record 1 (line 2)", "after the record's end");
  expect("{}\n7", ", record 1 (line 2)", "not an object");
  expect("[{\"a\":" + std::string(100000, '[') + "]", ", record 0 (line 1)", "200 deep");
  expect("[{\"a\":\"" + std::string(5 << 20, 'x') + "\"}]", ", record 0 (line 1)", "4194304 bytes");
}

TEST(RewriteTest, FieldsThatNothingChangesKeepTheirBytes) {
  const TemporaryFolder folder;
  const std::string first = R"({"image": "a", "sim": NaN})",
                    kKept = R"([-Infinity,1e999,1e-400,123456789012345678901234567890,0.10,"\u00e9 \/ x"])",
                    second = R"({"image": "b", "sim": )" + kKept + "}";
  const fs::path in = folder.write("m.json", "[" + first + "," + second + "]");
  rewrite_manifest(in, folder / "out.jsonl", [](Ordered& record, std::int64_t number) {
    if (number == 1) record["new"] = 1;
    return true;
  });
  EXPECT_EQ(read_text(folder / "out.jsonl"), first + "\n" + R"({"image":"b","sim":)" + kKept + R"(,"new":1})" + "\n");
}

TEST(RewriteTest, RefusesAFieldThatStandsTwice) {
  const std::string message = message_of(R"([{"image": "a", "x": 1}, {"image": "a", "x": 1, "im\u0061ge": "b"}])");
  EXPECT_NE(message.find("record 1 (line 1)"), std::string::npos) << message;
  EXPECT_NE(message.find("field \"image\" stands there twice"), std::string::npos) << message;
  EXPECT_EQ(message_of(R"([{"a": {"x": 1, "x": 2}, "b": "\"a\": 1, {", "c": [{"a": 1}, "]"] }, { }])"), "");
}

TEST(RewriteTest, TheReaderTellsWhereARecordStands) {
  const TemporaryFolder folder;
  const std::string content = "\xEF\xBB\xBF[\n" + kFirst + ", " + kSecond + "]";
  RecordReader reader(folder.write("m.json", content));
  RecordText text;
  for (const std::string& expected : {kFirst, kSecond}) {
    ASSERT_TRUE(reader.next(text));
    EXPECT_EQ(text.json, expected);
    EXPECT_EQ(content.substr(text.offset, text.json.size()), expected);
  }
  EXPECT_FALSE(reader.next(text));
  EXPECT_FALSE(reader.next(text));
}

TEST(RewriteTest, NothingIsLeftWithoutFinish) {
  const TemporaryFolder folder;
  const fs::path out = folder.write("out.json", "old");
  {
    ManifestWriter writer(out);
    writer.add({{"image", "a.png"}});
  }
  EXPECT_EQ(read_text(out), "old");
  const auto fail = [](Ordered&, std::int64_t number) -> bool { return number == 0 ? true : throw Error("stop"); };
  EXPECT_THROW(rewrite_manifest(folder.write("m.json", "[{},{}]"), out, fail), Error);
  EXPECT_EQ(read_text(out), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 2);
}

}  // namespace
}  // namespace vicha
