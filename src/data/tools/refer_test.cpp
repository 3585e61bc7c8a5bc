// RefCOCO's pickles, boxes and detections, and the same sets in MDETR's form.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/manifest/data_test_support.h"
#include "data/manifest/manifest.h"
#include "data/tools/convert.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

/// Python 2's text protocol, in which the sets were published; numbers and texts as its pickler spells them.
class TextPickle {
 public:
  static std::string text(std::string_view value) { return fmt::format("S'{}'\n", value); }
  static std::string unicode(std::string_view value) { return fmt::format("V{}\n", value); }
  static std::string number(std::int64_t value) { return fmt::format("I{}\n", value); }
  static std::string list(const std::vector<std::string>& items) {
    std::string all = "(lp0\n";
    for (const std::string& item : items) all += item + "a";
    return all;
  }
  static std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
    std::string all = "(dp1\n";
    for (const auto& [key, value] : items) all += text(key) + value + "s";
    return all;
  }
};

std::string ref(std::int64_t id, std::int64_t annotation, std::int64_t image, std::string_view split,
                const std::vector<std::string>& sentences) {
  using P = TextPickle;
  std::vector<std::string> said;
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    said.push_back(P::dict({{"tokens", P::list({P::text("x")})},
                            {"raw", P::unicode("RAW " + sentences[i])},
                            {"sent_id", P::number(static_cast<std::int64_t>(i))},
                            {"sent", P::text(sentences[i])}}));
  }
  return P::dict({{"sent_ids", P::list({P::number(0)})},
                  {"file_name", P::text(fmt::format("COCO_train2014_{:012}_{}.jpg", image, id))},
                  {"ann_id", P::number(annotation)},
                  {"ref_id", P::number(id)},
                  {"image_id", P::number(image)},
                  {"split", P::text(split)},
                  {"sentences", P::list(said)},
                  {"category_id", P::number(1)}});
}

const char* const kInstances =
    R"({"info": {}, "images": [{"license": 1, "file_name": "COCO_train2014_000000581857.jpg", "height": 480, "width": 640, "id": 581857},
    {"file_name": "COCO_train2014_000000000009.jpg", "height": 100, "width": 200, "id": 9}], "licenses": [],
  "annotations": [{"segmentation": [[1, 2]], "area": 5.5, "iscrowd": 0, "image_id": 581857, "bbox": [103.93, 299.99, 134.22, 177.42], "category_id": 1, "id": 1719310},
    {"image_id": 9, "bbox": [1, 2, 30, 40], "category_id": 1, "id": 7}, {"image_id": 9, "bbox": [300, 2, 30, 40], "category_id": 1, "id": 8}], "categories": []})";

class ReferTest : public ::testing::Test {
 protected:
  void SetUp() override {
    using P = TextPickle;
    folder_.write("refs(unc).p",
                  P::list({ref(0, 1719310, 581857, "train", {"the lady with the blue shirt", "lady"}),
                           ref(1, 7, 9, "testA", {"left dog", " "}), ref(2, 99, 9, "val", {"no box"}),
                           ref(3, 8, 9, "val", {"outside"}), ref(4, 7, 581857, "val", {"other picture"})}) +
                      ".");
    folder_.write("instances.json", kInstances);
  }
  std::string convert(ConvertOptions options) {
    if (!options.with.empty()) options.with = folder_ / options.with.string();
    if (!options.boxes.empty()) options.boxes = folder_ / options.boxes.string();
    if (!options.boxes_out.empty()) options.boxes_out = folder_ / options.boxes_out.string();
    fs::remove(out_);
    report_ = convert_manifest(folder_ / from_, out_, options);
    return read_text(out_);
  }
  std::string refusal(const ConvertOptions& options) {
    return message_of([&] { convert(options); });
  }
  std::string lost() const { return read_text(folder_ / "out.jsonl.lost.jsonl"); }

  TemporaryFolder folder_;
  std::string from_ = "refs(unc).p";
  fs::path out_ = folder_ / "out.jsonl";
  ConvertReport report_;
};

const std::string kFirst =
    R"({"image":"train2014/COCO_train2014_000000581857.jpg","text":"the lady with the blue shirt","ref_id":0,)"
    R"("bbox":[103.93,299.99,134.22,177.42],"width":640,"height":480,"split":"train"})"
    "\n";

TEST_F(ReferTest, ASentenceARecord) {
  const std::string out = convert({.with = "instances.json"});
  EXPECT_TRUE(out.starts_with(kFirst)) << out;
  EXPECT_EQ(report_.form, SetForm::kRefer);
  EXPECT_EQ(report_.records, 3);
  EXPECT_EQ(report_.lost, 4);
  for (const char* part :
       {"annotation 99, is not in", "lies outside of the picture's 200 x 100 pixels",
        "is about the picture 581857, its box about 9", "ref 1, sentence 1\",\"why\":\"has no text"}) {
    EXPECT_TRUE(contains(lost(), part)) << part << "\n" << lost();
  }
  EXPECT_EQ(
      convert({.splits = {"testA"}, .folder = "coco", .with = "instances.json"}),
      R"({"image":"coco/COCO_train2014_000000000009.jpg","text":"left dog","ref_id":1,"bbox":[1,2,30,40],"width":200,"height":100,"split":"testA"})"
      "\n");
  const Manifest manifest =
      Manifest::load({out_}, {.schema = {.caption = false,
                                         .columns = {{.field = "text", .type = ColumnType::kText},
                                                     {.field = "bbox", .type = ColumnType::kBox}}}});
  EXPECT_EQ(manifest.size(), 1);
}

TEST_F(ReferTest, DetectionsByOurNames) {
  folder_.write(
      "dets.json",
      R"({"581857": [[1, 2, 3, 4, 0.9], [5, 6, 7, 8, 0.8]], "9": [[0, 0, 10, 10], [250, 5, 10, 10], [1, 1, 0, 5]], "77": [[1, 1, 1, 1]]})");
  const ConvertOptions options{.with = "instances.json", .boxes = "dets.json", .boxes_out = "boxes.json"};
  EXPECT_TRUE(convert(options).starts_with(kFirst));
  EXPECT_EQ(read_text(folder_ / "boxes.json"),
            "{\n\"train2014/COCO_train2014_000000581857.jpg\": [[1,2,3,4,0.9],[5,6,7,8,0.8]],\n"
            "\"train2014/COCO_train2014_000000000009.jpg\": [[0,0,10,10]]\n}\n");
  EXPECT_TRUE(contains(lost(), "the box [250,5,10,10] of the picture 9 lies outside of its 200 x 100")) << lost();
  EXPECT_TRUE(contains(lost(), "is not a box")) << lost();

  EXPECT_TRUE(contains(convert({.with = "instances.json", .boxes = "dets.json"}),
                       R"("split":"train","boxes":[[1,2,3,4],[5,6,7,8]]})"));
  folder_.write("dets.json", R"([{"image_id": 581857, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}])");
  convert(options);
  EXPECT_EQ(read_text(folder_ / "boxes.json"),
            "{\n\"train2014/COCO_train2014_000000581857.jpg\": [[1,2,3,4,0.5]],\n"
            "\"train2014/COCO_train2014_000000000009.jpg\": []\n}\n");
  EXPECT_TRUE(std::any_of(report_.notes.begin(), report_.notes.end(),
                          [](const std::string& note) { return note == "pictures without boxes: 1"; }));
  folder_.write("dets.json", R"({"4": [[1, 2, 3, 4]]})");
  EXPECT_TRUE(contains(refusal(options), "has boxes of none of the pictures"));
  folder_.write("dets.json", R"({"a.jpg": [[1, 2, 3, 4]]})");
  EXPECT_TRUE(contains(refusal(options), "which is not an image id"));
}

TEST_F(ReferTest, WhatABoxOrASizeLacksIsNamed) {
  folder_.write("instances.json",
                R"({"images": [{"file_name": "COCO_train2014_000000000009.jpg", "id": 9}], "annotations": [
    {"image_id": 9, "bbox": [1, 2, 30, 40], "id": 7}, {"image_id": 9, "bbox": [5, 2, 30, 40], "id": 7}]})");
  const std::string written = convert({.with = "instances.json"});
  EXPECT_TRUE(contains(written, R"("bbox":[1,2,30,40])")) << written;
  EXPECT_FALSE(contains(written, "width")) << "of a picture whose size nobody says: " << written;
  EXPECT_TRUE(contains(read_text(report_.lost_file), "annotation 7 has a box before it"));
  folder_.write("instances.json",
                R"({"images": [{"file_name": "COCO_train2014_000000000009.jpg", "id": 9}], "annotations": [
    {"image_id": 9, "bbox": [1, 2, 30], "id": 7}]})");
  EXPECT_TRUE(contains(refusal({.with = "instances.json"}), "annotations 0: has no id, no image_id, or no bbox"));
}

TEST_F(ReferTest, PartsThatStandInManyPlacesHaveABound) {
  using P = TextPickle;
  const auto with_sentences = [](const std::string& sentences) {
    return P::dict({{"ann_id", P::number(7)},
                    {"ref_id", P::number(1)},
                    {"image_id", P::number(9)},
                    {"split", P::text("testA")},
                    {"sentences", sentences}});
  };
  const std::string said = P::dict({{"sent", P::text(std::string(1000, 'y'))}});
  const std::string put = "p900\n", get = "g900\n";  // of the pickle's memo
  std::vector<std::string> all{with_sentences(P::list({said}) + put)};
  while (all.size() < 200) all.push_back(with_sentences(get));
  folder_.write("refs(unc).p", P::list(all) + ".");
  convert({.with = "instances.json"});
  EXPECT_EQ(report_.records, 200);
  while (all.size() < 40'000) all.push_back(with_sentences(get));
  all.front() = with_sentences(P::list(std::vector<std::string>(30, said)) + put);
  folder_.write("refs(unc).p", P::list(all) + ".");
  EXPECT_TRUE(contains(refusal({.with = "instances.json"}), "many times its size"));
}

TEST_F(ReferTest, RefusesOtherFiles) {
  std::string message = refusal({});
  EXPECT_TRUE(contains(message, "refs(unc).p: holds expressions without their boxes")) << message;
  EXPECT_TRUE(contains(message, "--with instances.json")) << message;
  EXPECT_TRUE(contains(refusal({.with = "refs(unc).p"}), "is a pickle"));
  folder_.write("questions.json", R"({"questions": [{"question_id": 1, "image_id": 2, "question": "x"}]})");
  EXPECT_TRUE(contains(refusal({.with = "questions.json"}), "is VQA's questions, not COCO's instances"));
  from_ = "instances.json";
  message = refusal({.with = "refs(unc).p"});
  EXPECT_TRUE(contains(message, "vicha data convert 'refs(unc).p' --with instances.json")) << message;
  from_ = "evil.p";
  folder_.write(from_, "cos\nsystem\n(S'ls'\ntR.");
  EXPECT_TRUE(contains(refusal({.form = SetForm::kRefer, .with = "instances.json"}), "os.system"));
  folder_.write(from_, TextPickle::list({TextPickle::number(5)}) + ".");
  EXPECT_TRUE(contains(refusal({.with = "instances.json"}), "no list of expressions"));
  from_ = "refs(unc).p";
  EXPECT_TRUE(contains(refusal({.with = "instances.json", .boxes_out = "b.json"}), "--boxes-out needs --boxes"));
}

TEST_F(ReferTest, MdetrForm) {
  from_ = "finetune_refcoco_val.json";
  folder_.write(
      from_,
      R"({"info": [], "licenses": [], "images": [{"file_name": "COCO_train2014_000000581857.jpg", "height": 480, "width": 640, "id": 0, "original_id": 581857,
      "caption": "the lady with the blue shirt", "dataset_name": "refcoco", "tokens_negative": [[0, 28]]},
      {"file_name": "COCO_train2014_000000000009.jpg", "height": 100, "width": 200, "id": 1, "original_id": 9, "caption": "a dog", "dataset_name": "refcoco", "tokens_negative": []}],
      "annotations": [{"area": 1.0, "iscrowd": 0, "image_id": 0, "category_id": 1, "id": 0, "bbox": [1.5, 2, 3, 4], "tokens_positive": [[0, 8]]}], "categories": []})");
  folder_.write("dets.json", R"({"581857": [[1, 2, 3, 4]]})");
  EXPECT_EQ(
      convert({.boxes = "dets.json"}),
      R"({"image":"train2014/COCO_train2014_000000581857.jpg","text":"the lady with the blue shirt","ref_id":0,"bbox":[1.5,2,3,4],"width":640,"height":480,"boxes":[[1,2,3,4]]})"
      "\n");
  EXPECT_EQ(report_.form, SetForm::kMdetr);
  EXPECT_TRUE(contains(lost(), "has no annotation with a box")) << lost();
}

}  // namespace
}  // namespace vicha
