#include "data/tools/convert.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "data/manifest/data_test_support.h"
#include "data/manifest/manifest.h"
#include "data/tools/table.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

const fs::path kReported = fs::path(VICHA_SOURCE_DIR) / "tests/golden/reported/manifests";

class ConvertTest : public ::testing::Test {
 protected:
  std::string convert(std::string_view content, const ConvertOptions& options = {}) {
    return convert_file(folder_.write("in", content), options);
  }
  std::string convert_file(const fs::path& in, const ConvertOptions& options = {}) {
    fs::remove(folder_ / "out.jsonl.lost.jsonl");
    report_ = convert_manifest(in, folder_ / "out.jsonl", options);
    EXPECT_EQ(Manifest::load({folder_ / "out.jsonl"}).size(), report_.records) << "it is a manifest";
    return read_text(folder_ / "out.jsonl");
  }
  std::string refusal(std::string_view content, const ConvertOptions& options = {}) {
    const fs::path in = folder_.write("in", content);
    fs::remove(folder_ / "out.jsonl");
    const std::string message = message_of([&] { convert_manifest(in, folder_ / "out.jsonl", options); });
    EXPECT_FALSE(fs::exists(folder_ / "out.jsonl")) << content;
    return message;
  }
  std::string lost() const { return read_text(folder_ / "out.jsonl.lost.jsonl"); }

  TemporaryFolder folder_;
  ConvertReport report_;
};

TEST_F(ConvertTest, TheReportedFiles) {
  EXPECT_EQ(convert_file(kReported / "object.json"), R"({"image":"a.png","image_id":1,"caption":["a red car"]})"
                                                     "\n");
  EXPECT_EQ(report_.form, SetForm::kCoco);
  EXPECT_EQ(convert_file(kReported / "karpathy.json"), R"({"image":"val2014/a.png","caption":["a red car"]})"
                                                       "\n");
  EXPECT_EQ(convert_file(kReported / "dictform.json"), R"({"image":"a.png","caption":["a red car"]})"
                                                       "\n"
                                                       R"({"image":"b.jpg","caption":["x"]})"
                                                       "\n");
  EXPECT_EQ(convert_file(kReported / "data.csv"), R"({"image":"a.png","caption":"a red, car"})"
                                                  "\n");
  EXPECT_EQ(report_.fields, (std::vector<std::string>{"image = filepath", "caption = title"}));
  EXPECT_EQ(convert_file(kReported / "data.tsv"), R"({"image":"a.png","caption":"a red car"})"
                                                  "\n");
  EXPECT_EQ(report_.lost, 0);
}

TEST_F(ConvertTest, CocoGathersCaptionsAndNamesWhatItCannotUse) {
  const std::string out = convert(R"({"info": {"year": 2017}, "annotations": [
      {"image_id": 2, "id": 1, "caption": "b1"}, {"image_id": 9, "id": 2, "caption": "stray"},
      {"image_id": 1, "id": 3, "caption": "a1"}, {"image_id": 2, "id": 4, "caption": "b2"}, {"image_id": 1, "bbox": []},
      {"image_id": "1", "caption": "other kind of id"}],
      "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg", "x": NaN}, {"id": 3, "file_name": "c.jpg"},
                 {"id": 1, "file_name": "again.jpg"}]})",
                                  {.folder = "train2017"});
  EXPECT_EQ(out, R"({"image":"train2017/a.jpg","image_id":1,"caption":["a1"]})"
                 "\n"
                 R"({"image":"train2017/b.jpg","image_id":2,"caption":["b1","b2"]})"
                 "\n");
  EXPECT_EQ(report_.lost, 5);
  EXPECT_TRUE(contains(lost(), "annotations 1")) << lost();
  EXPECT_TRUE(contains(lost(), "is of the image 9, which")) << lost();
  EXPECT_TRUE(contains(lost(), "annotations 4")) << lost();
  EXPECT_TRUE(contains(lost(), R"(images 2","why":"has no caption")")) << lost();
  EXPECT_TRUE(contains(lost(), "images 3")) << lost();
}

TEST_F(ConvertTest, KarpathyTakesSplits) {
  const std::string set = R"({"dataset": "coco", "images": [
    {"filepath": "val2014", "filename": "a.jpg", "sentences": [{"raw": "x", "tokens": []}, {"raw": "y"}], "split": "test", "cocoid": 391895},
    {"filename": "b.jpg", "sentences": [{"raw": "z"}], "split": "train", "imgid": 4},
    {"filename": "c.jpg", "sentences": [{"raw": "w"}], "split": "restval"}]})";
  EXPECT_EQ(convert(set, {.splits = {"test"}}), R"({"image":"val2014/a.jpg","image_id":391895,"caption":["x","y"]})"
                                                "\n");
  EXPECT_EQ(report_.other_splits, 2);
  convert(set, {.splits = {"train", "restval"}});
  EXPECT_EQ(report_.records, 2);
  convert(set);
  EXPECT_EQ(report_.records, 3);
  const std::string message = refusal(set, {.splits = {"val"}});
  EXPECT_TRUE(contains(message, R"("test" (1), "train" (1), "restval" (1))")) << message;
}

TEST_F(ConvertTest, OtherObjects) {
  EXPECT_EQ(convert(R"({"version": "1.0", "data": [{"file_name": "a.png", "text": "x", "score": 0.5}]})"),
            R"({"image":"a.png","caption":"x","score":0.5})"
            "\n");
  EXPECT_EQ(convert(R"({"train": [{"image": "a.png", "caption": "x"}], "test": [{"image": "b.png", "caption": "y"}]})",
                    {.splits = {"test"}}),
            R"({"image":"b.png","caption":"y"})"
            "\n");
  EXPECT_EQ(
      convert(R"({"12": {"image": "a.png", "caption": ["x", "y"]}, "13": {"image": "b.png", "caption": "z"}, "v": 1})"),
      R"({"image":"a.png","image_id":"12","caption":["x","y"]})"
      "\n"
      R"({"image":"b.png","image_id":"13","caption":"z"})"
      "\n");
  EXPECT_TRUE(contains(lost(), R"(key \"v\")")) << lost();
  EXPECT_EQ(convert(R"({"image": {"0": "a.png", "1": "b.png"}, "caption": {"0": "x", "1": "y"}})"),
            convert(R"({"image": ["a.png", "b.png"], "caption": ["x", "y"]})"));
  EXPECT_EQ(report_.records, 2);
  EXPECT_EQ(convert(R"({"a.png": "x", "b.png": [], "c.png": {"caption": "z"}})"),
            "{\"image\":\"a.png\",\"caption\":[\"x\"]}\n{\"image\":\"c.png\",\"caption\":[\"z\"]}\n");
  EXPECT_TRUE(contains(lost(), R"(key \"b.png\")")) << lost();
}

TEST_F(ConvertTest, RecordsOfOtherNames) {
  EXPECT_EQ(convert("{\"file_name\": \"a.png\", \"text\": \"x\", \"n\": NaN}\n{\"file_name\": \"b.png\"}\n{broken\n"),
            "{\"image\":\"a.png\",\"caption\":\"x\",\"n\":NaN}\n");
  EXPECT_EQ(report_.lost, 2);
  EXPECT_TRUE(contains(lost(), "record 1 (line 2)")) << lost();
  EXPECT_TRUE(contains(lost(), "record 2 (line 3)")) << lost();
  EXPECT_EQ(convert(R"([{"p": "a.png", "en": "x", "de": "y", "key": 7}])",
                    {.image = "p", .captions = {"en", "de"}, .id = "key"}),
            "{\"image\":\"a.png\",\"image_id\":7,\"caption\":[\"x\",\"y\"]}\n");
  const std::string message = refusal(R"([{"p": "a.png", "caption": "x"}])");
  EXPECT_TRUE(
      contains(message, "record 0 (line 1): has the fields p, caption; none is known to hold the picture's file"))
      << message;
  EXPECT_TRUE(contains(refusal(R"([{"image": "a", "caption": "x"}])", {.captions = {"text"}}), "no field \"text\""));
}

TEST_F(ConvertTest, FieldsThatGoAlongKeepTheirBytes) {
  const std::string more = R"("n":123456789012345678901234567890,"x":[1e999,1e-400,1.50,"\u00e9"])";
  EXPECT_EQ(convert(R"([{"file_name": "a.png", "text": "x", )" + more + "}]"),
            R"({"image":"a.png","caption":"x",)" + more + "}\n");
  for (const char* number : {"123456789012345678901234567890", "1e999", "1e-400", "-9223372036854775809"}) {
    const std::string message =
        refusal(fmt::format("{{\"data\":\n [{{\"file_name\": \"a.png\", \"text\": \"x\", \"n\": {}}}]}}", number));
    EXPECT_TRUE(contains(message, fmt::format("in (line 2): the number {} would be changed", number))) << message;
  }
  EXPECT_EQ(
      convert(
          R"({"data": [{"file_name": "a.png", "text": "1e999", "n": [18446744073709551615, -9223372036854775808, 0e-9]}]})"),
      R"({"image":"a.png","caption":"1e999","n":[18446744073709551615,-9223372036854775808,0.0]})"
      "\n");
}

TEST_F(ConvertTest, TablesOfAllKinds) {
  EXPECT_EQ(convert("\xEF\xBB\xBFimage;caption;x\r\na.png;\"two\nlines; \"\"quoted\"\"\";1\r\n\r\nb.png;5\" disk;\r\n"),
            R"({"image":"a.png","caption":"two\nlines; \"quoted\"","x":"1"})"
            "\n"
            R"({"image":"b.png","caption":"5\" disk","x":""})"
            "\n");
  EXPECT_EQ(convert("filepath\ttitle\na.png\t\"one\" red, car\n", {.quotes = false}),
            R"({"image":"a.png","caption":"\"one\" red, car"})"
            "\n");
  EXPECT_EQ(convert("image_name| comment_number| comment\na.jpg| 0| x y\n"),
            "{\"image\":\"a.jpg\",\"caption\":[\"x y\"]}\n")
      << "Flickr's results.csv";
  EXPECT_EQ(convert("image,caption,split\na.png,x,train\nb.png,y,test\n", {.splits = {"test"}}),
            "{\"image\":\"b.png\",\"caption\":\"y\",\"split\":\"test\"}\n");
  EXPECT_EQ(convert("image,caption\na.png,x,more\nb.png,y\nc.png,\n\xff.png,z\n"),
            "{\"image\":\"b.png\",\"caption\":\"y\"}\n");
  EXPECT_EQ(report_.lost, 3);
  for (const char* place : {"(line 2)", "has 3 columns, not 2", "(line 4)", "has no caption", "(line 5)", "UTF-8"}) {
    EXPECT_TRUE(contains(lost(), place)) << place << lost();
  }
}

TEST_F(ConvertTest, CellsWithoutAnIdGiveNone) {
  EXPECT_EQ(convert("image,caption,image_id\na.png,x,\nb.png,y,NaN\nc.png,z,0\n"),
            "{\"image\":\"a.png\",\"caption\":\"x\"}\n{\"image\":\"b.png\",\"caption\":\"y\"}\n"
            "{\"image\":\"c.png\",\"image_id\":\"0\",\"caption\":\"z\"}\n");
}

TEST_F(ConvertTest, RefusesWhatItWouldLoseUnsaid) {
  const std::string table = "image,caption,split\na.png,x,train\nb.png,y,test\n";
  const std::string none = refusal("image,caption\na.png,x\n", {.splits = {"test"}});
  EXPECT_TRUE(contains(none, R"(no record has the field "split", by which --split would choose)")) << none;
  const std::string split = refusal(table, {.splits = {"test", "tst"}});
  EXPECT_TRUE(contains(split, R"(no picture is of the split "tst"; there are "train" (1), "test" (1))")) << split;
  EXPECT_TRUE(contains(refusal("image,caption,x, caption\na.png,x,1,y\n"), R"(two columns "caption")"));
  EXPECT_TRUE(contains(
      refusal(R"({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": "x"}],
    "images": [{"id": 2, "file_name": "b.jpg"}]})",
              {.form = SetForm::kCoco}),
      R"(key "images" stands there twice)"));
}

TEST_F(ConvertTest, NamesCaptionsThatAreEmpty) {
  EXPECT_EQ(convert(R"({"images": [{"filename": "a.jpg", "split": "val",
    "sentences": [{"raw": "x"}, {"raw": NaN}, {"tokens": []}, " "]}]})"),
            R"({"image":"a.jpg","caption":["x"]})"
            "\n");
  EXPECT_EQ(report_.lost, 3);
  EXPECT_TRUE(contains(lost(), "images 0\",\"why\":\"its caption 3 of 4 is empty")) << lost();
  EXPECT_EQ(convert("a.jpg#0\tx\na.jpg#1\t \n"), R"({"image":"a.jpg","caption":["x"]})"
                                                 "\n");
  EXPECT_TRUE(contains(lost(), "(line 2)")) << lost();
}

TEST_F(ConvertTest, OneNameOfSeveralAddressesIsTheFirsts) {
  EXPECT_EQ(convert("url,caption\nhttp://x.org/1/a.jpg,x\nhttp://x.org/2/a.jpg,y\nhttp://x.org/1/a.jpg,z\n",
                    {.name = "{file}"}),
            R"({"image":"a.jpg","caption":"x","url":"http://x.org/1/a.jpg"})"
            "\n"
            R"({"image":"a.jpg","caption":"z","url":"http://x.org/1/a.jpg"})"
            "\n");
  EXPECT_TRUE(contains(lost(), "(line 3)")) << lost();
  EXPECT_TRUE(contains(lost(), "as the picture of another address, in record 0")) << lost();
  ASSERT_EQ(report_.notes.size(), 1u);
  EXPECT_TRUE(contains(report_.notes[0], "{row:09}")) << report_.notes[0];
}

TEST_F(ConvertTest, AddressesGiveTheNamesThatWgetGives) {
  EXPECT_EQ(
      convert("url,caption\nhttp://x.org/1/z%20z.jpg?y=1#top,x\nhttp://x.org/a%2Fb%zz.jpg,y\n", {.name = "{file}"}),
      R"({"image":"z z.jpg?y=1","caption":"x","url":"http://x.org/1/z%20z.jpg?y=1#top"})"
      "\n"
      R"({"image":"a%2Fb%zz.jpg","caption":"y","url":"http://x.org/a%2Fb%zz.jpg"})"
      "\n");
  EXPECT_TRUE(contains(refusal("url,caption\nhttp://x.org/1/..,x\n", {.name = "{file}"}), "has no name of a picture"));
}

TEST_F(ConvertTest, StopsWhereNothingMoreCanBeRead) {
  const std::string a = R"({"image":"1.jpg","text":"x"})", b = R"({"image":"2.jpg","text":"y"})";
  for (const std::string& list : {"[" + a + "\n" + b + "," + b + "]", "[" + a + "][" + b + "]",
                                  "[" + a + ",," + b + "]", "[" + a + ", {\"image\":", a + "\n" + b.substr(0, 12)}) {
    const std::string message = refusal(list);
    EXPECT_TRUE(contains(message, "record 1")) << list << message;
  }
  EXPECT_EQ(convert(a + "\n" + b + b + "\n" + b + "\n"),
            "{\"image\":\"1.jpg\",\"caption\":\"x\"}\n{\"image\":\"2.jpg\",\"caption\":\"y\"}\n");
  EXPECT_EQ(report_.lost, 1) << "of lines each stands alone";
}

TEST_F(ConvertTest, FieldsThatStandTwiceAreRefusedInObjectsToo) {
  const char* const files[] = {
      R"({"images":[{"id":1,"file_name":"a.jpg"}],"annotations":[{"image_id":1,"caption":"x","caption":"y"}]})",
      R"({"images":[{"filename":"a.jpg","sentences":[{"raw":"x","raw":"y"}],"split":"test"}]})",
      R"({"a.jpg":{"caption":"x","caption":"y"}})"};
  for (const char* file : files) EXPECT_TRUE(contains(refusal(file), "stands there twice")) << refusal(file);
  EXPECT_EQ(
      convert(
          R"({"images":[{"id":1,"file_name":"a.jpg"}],"annotations":[{"image_id":1,"caption":"x"},{"image_id":1,"caption":"y"}]})"),
      R"({"image":"a.jpg","image_id":1,"caption":["x","y"]})"
      "\n");
}

TEST_F(ConvertTest, OptionsThatTheFormHasNoUseForAreRefused) {
  const char* const coco = R"({"images":[{"id":1,"file_name":"a.jpg"}],"annotations":[{"image_id":1,"caption":"x"}]})";
  EXPECT_TRUE(contains(refusal(coco, {.image = "coco_url"}), "--image"));
  EXPECT_TRUE(contains(refusal(coco, {.captions = {"text"}}), "--caption"));
  EXPECT_TRUE(contains(refusal(coco, {.delimiter = ','}), "--delimiter"));
}

TEST_F(ConvertTest, NumbersThatAreTooLargeAreNamed) {
  for (const char* file :
       {"1e999", "[[1e999, \"x\"]]", "[1e999]", R"({"a.jpg": 1e999})", R"({"images": [{"id": 1e999}]})"}) {
    EXPECT_NE(refusal(file), "") << file;
    EXPECT_NE(refusal(file, {.form = SetForm::kPairs}), "") << file;
    EXPECT_NE(refusal(file, {.form = SetForm::kCoco}), "") << file;
  }
}

TEST_F(ConvertTest, LineEndsOfOldMacsAreNamed) {
  EXPECT_TRUE(contains(refusal("image,caption\ra.jpg,one\rb.jpg,two\r"), "old Macs"));
}

TEST_F(ConvertTest, RefusesWhatItCannotTell) {
  EXPECT_TRUE(
      contains(refusal("image,caption\na.png,\"x\" y\n"), "in (line 2): a cell goes on behind the quotation mark"));
  EXPECT_TRUE(
      contains(refusal("image,caption\na.png,\"x\n"), "in (line 2): a quotation mark of this row has no second"));
  EXPECT_TRUE(contains(refusal("key,alt\n1,y\n"), "has the fields key, alt; none is known to hold the picture"));
  EXPECT_TRUE(contains(refusal("url,alt\nhttp://x,y\n"), "has addresses of pictures (url) and no names of files"));
  EXPECT_TRUE(contains(refusal("a red car\thttps://x.org/a.jpg\n"), "Download them"));
  EXPECT_TRUE(
      contains(refusal("image,alt\nhttps://x.org/a.jpg,y\n"), "is an address in the web, \"https://x.org/a.jpg\""));
  EXPECT_TRUE(contains(refusal("PAR1xx"), "Parquet"));
  EXPECT_TRUE(contains(refusal("hello"), "in no form that is known"));
  EXPECT_TRUE(contains(
      refusal("{\"images\": [{\"id\": 1, \"file_name\": \"a\"}], \"annotations\": [{\"image_id\": 1, \"bbox\": []}]}"),
      "without captions"));
  EXPECT_TRUE(contains(refusal("{\n\"images\": [{\"id\": 1, \"file_name\": \"a\"}],\n \"annotations\": [{\"image_id\": "
                               "1, \"caption\" \"x\"}]}",
                               {.form = SetForm::kCoco}),
                       "in (line 3): not JSON at byte "));
  const fs::path in = folder_.write("in", "image,caption\na.png,x\n");
  EXPECT_TRUE(contains(message_of([&] { convert_manifest(in, in); }), "--out is what is read"));
  EXPECT_EQ(read_text(in), "image,caption\na.png,x\n");
}

TEST(RowReader, ReadsOverTheEdgesOfItsBufferAndCountsLines) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += fmt::format("a{0},\"b\n{0}\"\n", i);
  RowReader rows(folder.write("t.csv", text), ',', true);
  std::vector<std::string> cells;
  std::int64_t count = 0;
  while (rows.next(cells)) {
    ASSERT_EQ(cells, (std::vector<std::string>{fmt::format("a{}", count), fmt::format("b\n{}", count)}));
    ASSERT_EQ(rows.line(), 1 + 2 * count);
    ++count;
  }
  EXPECT_EQ(count, 20'000);
}

}  // namespace
}  // namespace vicha
