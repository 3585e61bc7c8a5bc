// Excerpts written here in the forms of the official downloads, as `vicha data convert` reads them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/manifest/data_test_support.h"
#include "data/manifest/manifest.h"
#include "data/manifest/rewrite.h"
#include "data/tools/convert.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT
using Json = nlohmann::ordered_json;

class OfficialTest : public ::testing::Test {
 protected:
  /// What the files in the folder become, line by line.
  std::string convert(std::string_view from, ConvertOptions options = {}) {
    fs::remove(out_);
    fs::remove(folder_ / "out.jsonl.lost.jsonl");
    in_folder(options);
    report_ = convert_manifest(folder_ / from, out_, options);
    std::int64_t records = 0;
    for_each_record(out_, [&](const Json&, std::int64_t) { ++records; });
    EXPECT_EQ(records, report_.records);
    return read_text(out_);
  }
  std::string refusal(std::string_view from, ConvertOptions options = {}) {
    fs::remove(out_);
    in_folder(options);
    const std::string message = message_of([&] { convert_manifest(folder_ / from, out_, options); });
    EXPECT_FALSE(fs::exists(out_)) << from;
    return message;
  }
  std::string lost() const { return read_text(folder_ / "out.jsonl.lost.jsonl"); }
  bool noted(std::string_view note) const {
    return std::any_of(report_.notes.begin(), report_.notes.end(),
                       [&](const std::string& one) { return contains(one, note); });
  }

  TemporaryFolder folder_;
  fs::path out_ = folder_ / "out.jsonl";
  ConvertReport report_;

 private:
  void in_folder(ConvertOptions& options) const {
    for (fs::path* path : {&options.with, &options.boxes, &options.boxes_out}) {
      if (!path->empty()) *path = folder_ / path->string();
    }
  }
};

TEST_F(OfficialTest, FlickrByKarpathy) {
  folder_.write("dataset_flickr30k.json", R"({"images": [{"sentids": [0, 1], "imgid": 0, "sentences": [
    {"tokens": ["two", "men"], "raw": "Two men.", "imgid": 0, "sentid": 0}, {"tokens": ["a", "yard"], "raw": "A yard.", "imgid": 0, "sentid": 1}],
    "split": "train", "filename": "1000092795.jpg"}, {"sentids": [2], "imgid": 1, "sentences": [
    {"tokens": ["x"], "raw": "X", "imgid": 1, "sentid": 2}], "split": "test", "filename": "10002456.jpg"}], "dataset": "flickr30k"})");
  EXPECT_EQ(convert("dataset_flickr30k.json", {.splits = {"train"}, .folder = "flickr30k-images"}),
            R"({"image":"flickr30k-images/1000092795.jpg","image_id":0,"caption":["Two men.","A yard."]})"
            "\n");
  EXPECT_EQ(report_.form, SetForm::kKarpathy);
}

TEST_F(OfficialTest, FlickrAsItFirstCame) {
  folder_.write("results_20130124.token",
                "1000092795.jpg#0\tTwo young guys look at their hands .\n1000092795.jpg#1\tTwo \"young\" men .\r\n"
                "10002456.jpg#0\tSeveral men in hard hats .\nno id\tx\n10002456.jpg#1\t\n");
  EXPECT_EQ(convert("results_20130124.token"),
            R"({"image":"1000092795.jpg","caption":["Two young guys look at their hands .","Two \"young\" men ."]})"
            "\n"
            R"({"image":"10002456.jpg","caption":["Several men in hard hats ."]})"
            "\n");
  EXPECT_EQ(report_.form, SetForm::kFlickr);
  EXPECT_EQ(report_.captions, 3);
  EXPECT_TRUE(contains(lost(), "(line 4)")) << lost();

  folder_.write("results.csv",
                "image_name| comment_number| comment\n1000092795.jpg| 0| Two young guys | with hair .\n"
                "1000092795.jpg| 1| Two men .\n2199200615.jpg| 4   A dog runs across the grass .\na.jpg| 5\n");
  EXPECT_EQ(convert("results.csv"),
            R"({"image":"1000092795.jpg","caption":["Two young guys | with hair .","Two men ."]})"
            "\n"
            R"({"image":"2199200615.jpg","caption":["A dog runs across the grass ."]})"
            "\n");
  EXPECT_TRUE(contains(lost(), "(line 5)")) << lost();
}

TEST_F(OfficialTest, VisualGenome) {
  folder_.write(
      "region_descriptions.json",
      R"([{"regions": [{"region_id": 1382, "width": 82, "height": 139, "image_id": 1, "phrase": "the clock is green", "y": 57, "x": 421},
    {"region_id": 1383, "width": 1, "height": 1, "image_id": 1, "phrase": " ", "y": 0, "x": 0}], "id": 1},
    {"regions": [{"region_id": 9, "width": 2, "height": 3, "image_id": 2, "phrase": "a tree", "y": 5, "x": 4}], "id": 2},
    {"regions": [{"region_id": 7, "image_id": 3, "phrase": "a dog"}], "id": 3}])");
  folder_.write(
      "image_data.json",
      R"([{"width": 800, "url": "https://cs.stanford.edu/people/rak248/VG_100K_2/1.jpg", "height": 600, "image_id": 1, "coco_id": null, "flickr_id": null},
    {"width": 800, "url": "https://cs.stanford.edu/people/rak248/VG_100K/2.jpg", "height": 600, "image_id": 2, "coco_id": 5, "flickr_id": 6}])");
  const std::string by_data =
      R"({"image":"VG_100K_2/1.jpg","image_id":1,"caption":"the clock is green","region_id":1382,"bbox":[421,57,82,139]})"
      "\n"
      R"({"image":"VG_100K/2.jpg","image_id":2,"caption":"a tree","region_id":9,"bbox":[4,5,2,3]})"
      "\n";
  EXPECT_EQ(convert("region_descriptions.json", {.with = "image_data.json"}), by_data);
  EXPECT_EQ(report_.lost, 2);
  EXPECT_TRUE(contains(lost(), "regions 1\",\"why\":\"has no phrase")) << lost();
  EXPECT_TRUE(contains(lost(), "is of the picture 3, which")) << lost();

  folder_.write("VG_100K_2/1.jpg", "");
  folder_.write("VG_100K/2.jpg", "");
  EXPECT_EQ(convert("region_descriptions.json"), by_data) << "told by what is there";
  EXPECT_TRUE(contains(lost(), "VG_100K/3.jpg")) << lost();
  EXPECT_TRUE(contains(refusal("region_descriptions.json", {.folder = "nowhere"}), "--with image_data.json"));
  EXPECT_TRUE(contains(refusal("region_descriptions.json", {.with = "region_descriptions.json"}),
                       "is Visual Genome's region descriptions, not Visual Genome's image_data.json"));
  EXPECT_TRUE(contains(refusal("image_data.json"), "Give region_descriptions.json or question_answers.json"));

  folder_.write(
      "question_answers.json",
      R"([{"id": 1, "qas": [{"a_objects": [], "question": "What color is the clock?", "image_id": 1, "qa_id": 986768, "answer": "Green.", "q_objects": []},
    {"question": "Who?", "image_id": 1, "qa_id": 986769, "answer": "."}]}])");
  EXPECT_EQ(
      convert("question_answers.json", {.with = "image_data.json"}),
      R"({"question_id":986768,"image":"VG_100K_2/1.jpg","question":"What color is the clock?","answer":"Green","dataset":"vg"})"
      "\n");
  EXPECT_TRUE(contains(lost(), "has no answer")) << lost();
}

TEST_F(OfficialTest, SbuAndConceptualCaptions) {
  folder_.write("sbu.json", R"([["1/2.jpg", "a red car"], ["b.jpg", 5], ["c.jpg", "a dog"], "x"])");
  EXPECT_EQ(convert("sbu.json"),
            "{\"image\":\"1/2.jpg\",\"caption\":\"a red car\"}\n{\"image\":\"c.jpg\",\"caption\":\"a dog\"}\n");
  EXPECT_EQ(report_.lost, 2);

  folder_.write("urls.txt",
                "http://static.flickr.com/2723/4385058960_b0f291553e.jpg\nhttp://static.flickr.com/1/2_c.jpg\n");
  folder_.write("captions.txt", "A wooden chair in the living room\nA boy\n");
  const std::string sbu =
      R"({"image":"sbu/4385058960_b0f291553e.jpg","caption":"A wooden chair in the living room","url":"http://static.flickr.com/2723/4385058960_b0f291553e.jpg"})"
      "\n"
      R"({"image":"sbu/2_c.jpg","caption":"A boy","url":"http://static.flickr.com/1/2_c.jpg"})"
      "\n";
  EXPECT_EQ(convert("urls.txt", {.folder = "sbu", .with = "captions.txt"}), sbu);
  EXPECT_TRUE(contains(refusal("urls.txt"), "without captions"));
  EXPECT_TRUE(contains(refusal("urls.txt", {.with = "urls.txt"}), "holds addresses, not captions"));
  EXPECT_TRUE(contains(refusal("captions.txt", {.with = "urls.txt"}), "Change places"));
  folder_.write("more.txt", "A wooden chair in the living room\nA boy\nA girl\n");
  EXPECT_TRUE(contains(refusal("urls.txt", {.with = "more.txt"}), "do not belong together"));
  folder_.write(
      "sbu-captions-all.json",
      R"({"image_urls": ["http://x/1/a.jpg", "http://x/1/b.jpg"], "user_ids": ["u", "v"], "captions": ["A", "B"]})");
  EXPECT_EQ(convert("sbu-captions-all.json", {.name = "{file}"}),
            R"({"image":"a.jpg","caption":"A","image_urls":"http://x/1/a.jpg","user_ids":"u"})"
            "\n"
            R"({"image":"b.jpg","caption":"B","image_urls":"http://x/1/b.jpg","user_ids":"v"})"
            "\n");

  folder_.write("Train_GCC-training.tsv",
                "a very typical \"bus\" station\thttp://lh6.ggpht.com/-Iv/pic?x=1\n\"quoted start of a "
                "caption\thttps://x.org/b.jpg\nbroken\n"
                "sierra looked stunning\thttp://x/c.png\n");
  EXPECT_EQ(
      convert("Train_GCC-training.tsv", {.name = "{shard:05}/{row:09}.jpg"}),
      R"({"image":"00000/000000000.jpg","caption":"a very typical \"bus\" station","url":"http://lh6.ggpht.com/-Iv/pic?x=1"})"
      "\n"
      R"({"image":"00000/000000001.jpg","caption":"\"quoted start of a caption","url":"https://x.org/b.jpg"})"
      "\n"
      R"({"image":"00000/000000003.jpg","caption":"sierra looked stunning","url":"http://x/c.png"})"
      "\n");
  EXPECT_EQ(report_.form, SetForm::kLinks);
  EXPECT_TRUE(contains(refusal("Train_GCC-training.tsv"), "--name")) << "no file names are known";
  EXPECT_TRUE(contains(refusal("Train_GCC-training.tsv", {.name = "{wrong}"}), "--name {wrong}"));
  folder_.write("cc12m.tsv", "https://x.org/b.jpg\ta <PERSON> on a beach\n");
  EXPECT_EQ(convert("cc12m.tsv", {.name = "{file}"}),
            R"({"image":"b.jpg","caption":"a <PERSON> on a beach","url":"https://x.org/b.jpg"})"
            "\n");
}

const char* const kQuestions =
    R"({"info": {"year": 2017}, "task_type": "Open-Ended", "data_type": "mscoco", "license": {}, "data_subtype": "train2014",
  "questions": [{"image_id": 9, "question": "What is this photo taken looking through?", "question_id": 9000},
    {"image_id": 9, "question": "Is it day?", "question_id": 9001}, {"image_id": 25, "question": "How many?", "question_id": 25000},
    {"image_id": 25, "question": " ", "question_id": 25001}, {"question": "Where?", "question_id": 7}]})";
const char* const kAnnotations = R"({"info": {}, "license": {}, "data_subtype": "train2014", "data_type": "mscoco",
  "annotations": [{"question_type": "what is this", "multiple_choice_answer": "net", "answers": [{"answer": "net", "answer_confidence": "maybe", "answer_id": 1},
      {"answer": "netting", "answer_confidence": "yes", "answer_id": 2}], "image_id": 9, "answer_type": "other", "question_id": 9000},
    {"question_type": "how many", "answers": [], "image_id": 25, "answer_type": "number", "question_id": 25000},
    {"question_type": "none of the above", "answers": [{"answer": "x"}], "image_id": 1, "answer_type": "other", "question_id": 1000}]})";

TEST_F(OfficialTest, Vqa) {
  folder_.write("questions.json", kQuestions);
  folder_.write("annotations.json", kAnnotations);
  EXPECT_EQ(
      convert("questions.json", {.with = "annotations.json"}),
      R"({"question_id":9000,"image":"train2014/COCO_train2014_000000000009.jpg","question":"What is this photo taken looking through?",)"
      R"("answer":["net","netting"],"question_type":"what is this","answer_type":"other","dataset":"vqa"})"
      "\n");
  EXPECT_EQ(report_.form, SetForm::kVqa);
  EXPECT_TRUE(noted("questions without an annotation: 1"));
  EXPECT_TRUE(noted("annotations without a question: 1"));
  EXPECT_EQ(report_.lost, 5);
  for (const char* part :
       {"question 9001 has no annotation", "question 25000 has no answers", "question 1000, which",
        R"(questions 3","why":"has no question")", R"(questions 4","why":"has no image_id that is a whole number)"}) {
    EXPECT_TRUE(contains(lost(), part)) << part << "\n" << lost();
  }
  EXPECT_TRUE(contains(convert("questions.json", {.folder = "coco", .with = "annotations.json"}),
                       R"("coco/COCO_train2014_000000000009.jpg")"));
  const Manifest manifest =
      Manifest::load({out_}, {.schema = {.caption = false,
                                         .columns = {{.field = "question", .type = ColumnType::kText},
                                                     {.field = "answer", .type = ColumnType::kAnswers}}}});
  EXPECT_EQ(manifest.size(), 1);
}

TEST_F(OfficialTest, VqaOfTestSets) {
  folder_.write(
      "q.json",
      R"({"data_subtype": "test-dev2015", "data_type": "mscoco", "questions": [{"image_id": 262144, "question": "Is it?", "question_id": 262144005}]})");
  EXPECT_EQ(
      convert("q.json"),
      R"({"question_id":262144005,"image":"test2015/COCO_test2015_000000262144.jpg","question":"Is it?","dataset":"vqa"})"
      "\n");
  EXPECT_TRUE(noted("no answers"));
}

TEST_F(OfficialTest, VqaRefusesWhatDoesNotBelongTogether) {
  folder_.write("questions.json", kQuestions);
  folder_.write("annotations.json", kAnnotations);
  const auto with = [](const char* file) { return ConvertOptions{.with = file}; };
  std::string message = refusal("annotations.json", with("questions.json"));
  EXPECT_TRUE(contains(message, "annotations.json: is VQA's annotations")) << message;
  EXPECT_TRUE(contains(message, "--with")) << message;
  message = refusal("annotations.json", {.form = SetForm::kVqa, .with = "questions.json"});
  EXPECT_TRUE(contains(message, "is VQA's annotations, not VQA's questions")) << message;
  message = refusal("questions.json", with("questions.json"));
  EXPECT_TRUE(contains(message, "is VQA's questions, not VQA's annotations")) << message;
  std::string other = kAnnotations;
  other.replace(other.find("train2014"), 9, "val2014");
  folder_.write("val.json", other);
  message = refusal("questions.json", with("val.json"));
  EXPECT_TRUE(contains(message, "val.json: is of the split val2014, the questions of")) << message;
  EXPECT_TRUE(contains(message, "are of train2014")) << message;
  folder_.write(
      "none.json",
      R"({"data_subtype": "train2014", "annotations": [{"question_id": 5, "image_id": 1, "answers": [{"answer": "x"}]}]})");
  EXPECT_TRUE(contains(refusal("questions.json", with("none.json")), "annotates none of the"));
  folder_.write("bare.json", R"({"questions": [{"image_id": 1, "question": "Is it?", "question_id": 5}]})");
  EXPECT_TRUE(contains(refusal("bare.json"), "does not say of which split it is"));
  folder_.write("keys.json",
                R"({"data_subtype": "train2014", "questions": [{"image_id": 1, "question": "Is it?", "qid": 5}]})");
  EXPECT_TRUE(contains(refusal("keys.json", with("annotations.json")), "questions 0: has no question_id"));
  EXPECT_TRUE(contains(convert("bare.json", {.splits = {"val2014"}}), "COCO_val2014_000000000001.jpg"));
  EXPECT_TRUE(contains(refusal("questions.json", {.name = "{row}"}), "--name is for pictures"));
}

TEST_F(OfficialTest, Nlvr2) {
  folder_.write(
      "train.json",
      R"({"validation": {"162": "True"}, "sentence": "An image shows one case.", "left_url": "https://x/a.jpg", "writer": "57", "label": "True", "right_url": "https://x/b.jpg", "synset": "pencil case", "query": "pencil cases3", "directory": 54, "identifier": "train-10171-0-0"}
{"sentence": "Two dogs.", "label": "False", "identifier": "dev-850-3-1", "extra_validations": {"1": "True"}, "unbalanced": true}
{"sentence": "Two dogs.", "label": "maybe", "identifier": "dev-850-3-1"}
{"sentence": "Two dogs.", "label": "True", "identifier": "dev-850"}
{"sentence": "Two dogs.", "identifier": "dev-850-3-1"}
{"sentence": "Two dogs.", "label": "True", "identifier": "../../x-1-2-3"}
)");
  EXPECT_EQ(
      convert("train.json", {.splits = {"dev", "train"}}),
      R"({"images":["train/54/train-10171-0-img0.png","train/54/train-10171-0-img1.png"],"sentence":"An image shows one case.","label":"True","identifier":"train-10171-0-0",)"
      R"("validation":{"162":"True"},"left_url":"https://x/a.jpg","writer":"57","right_url":"https://x/b.jpg","synset":"pencil case","query":"pencil cases3","directory":54})"
      "\n"
      R"({"images":["dev/dev-850-3-img0.png","dev/dev-850-3-img1.png"],"sentence":"Two dogs.","label":"False","identifier":"dev-850-3-1","extra_validations":{"1":"True"},"unbalanced":true})"
      "\n");
  EXPECT_EQ(report_.form, SetForm::kNlvr2);
  EXPECT_EQ(report_.lost, 4);
  for (const char* part : {"neither True nor False", "is not split-set-pair-sentence", "has no label"}) {
    EXPECT_TRUE(contains(lost(), part)) << part << "\n" << lost();
  }
  convert("train.json", {.splits = {"dev"}});
  EXPECT_EQ(report_.records, 1);
  EXPECT_TRUE(contains(refusal("train.json", {.splits = {"test1"}}), R"("train" (1), "dev" (3))"));
  EXPECT_TRUE(contains(convert("train.json", {.folder = "images"}), R"(["images/train/54/train-10171-0-img0.png")"));
}

TEST_F(OfficialTest, SnliVe) {
  folder_.write(
      "snli_ve_dev.jsonl",
      R"({"Flickr30K_ID": "4705552913", "annotator_labels": ["neutral", "entailment"], "captionID": "4705552913.jpg#2", "gold_label": "neutral", "pairID": "4705552913.jpg#2r1n", "sentence1": "Two women are embracing.", "sentence2": "The sisters are hugging goodbye."}
{"Flickr30K_ID": "1", "gold_label": "-", "sentence2": "x", "pairID": "p"}
{"Flickr30K_ID": "1", "gold_label": "entails", "sentence2": "x"}
{"Flickr30K_ID": "1", "gold_label": "neutral"}
{"gold_label": "neutral", "sentence2": "x"}
)");
  EXPECT_EQ(
      convert("snli_ve_dev.jsonl", {.folder = "flickr30k-images"}),
      R"({"image":"flickr30k-images/4705552913.jpg","sentence":"The sisters are hugging goodbye.","label":"neutral","pairID":"4705552913.jpg#2r1n"})"
      "\n");
  EXPECT_EQ(report_.form, SetForm::kSnliVe);
  EXPECT_EQ(report_.lost, 4);
  EXPECT_TRUE(noted("without a label that annotators agree on: 1"));
  for (const char* part :
       {"gold_label \\\"-\\\"", "is none of contradiction", "has no sentence2", "has no Flickr30K_ID"}) {
    EXPECT_TRUE(contains(lost(), part)) << part << "\n" << lost();
  }
}

TEST_F(OfficialTest, ReleasedManifestsAreReadAsTheyAre) {
  // As the authors of ViCHA wrote them: absolute paths of their machine, concepts beside the captions.
  folder_.write(
      "coco_karp_kw.json",
      R"([{"image": "/data/someone/our_data/images/val2014/COCO_val2014_000000522418.jpg", "caption": ["A woman.", "A cake."], "kwords": ["cake", "woman"], "dataset": "coco"},
 {"image": "/data/someone/our_data/images/vg/1.jpg", "caption": "a clock", "kwords": []}])");
  ManifestOptions options{.image_root = folder_.path(), .schema = {.concepts = true}};
  options.strip_parts = 4;
  const Manifest manifest = Manifest::load({folder_ / "coco_karp_kw.json"}, options);
  ASSERT_EQ(manifest.size(), 2);
  EXPECT_EQ(manifest.image_path(0), folder_ / "images/val2014/COCO_val2014_000000522418.jpg");
}

}  // namespace
}  // namespace vicha
