// Grounding in drawn pictures of coloured squares: trained with and without right boxes, resumed, evaluated, asked and
// explained, through the same calls as the command line.
#include "tasks/grounding/grounding.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "distributed/thread_group_test_support.h"
#include "image/draw.h"
#include "tasks/downstream/questions.h"
#include "tasks/downstream/task_world_test.h"
#include "tasks/grounding/candidates.h"
#include "tasks/grounding/grounding_model.h"
#include "tasks/grounding/grounding_recipe.h"

namespace vicha {
namespace {

using GroundJson = nlohmann::ordered_json;

class Grounding : public TaskWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    write_squares();
  }

  /// 16 pictures of 48 x 24 pixels with two squares of different colours, an expression for each. The right box stands
  /// first and last alike.
  void write_squares() {
    GroundJson boxes;
    for (int i = 0; i < 16; ++i) {
      Image image(48, 24, 3);
      std::ranges::fill(image.pixels, std::uint8_t{128});
      const std::string name = fmt::format("images/squares{}.png", i);
      const int colour[] = {i % 8, (i + 1 + i / 8 * 2) % 8};
      const int column[] = {i % 3, (i + 1 + i / 3 % 2) % 3}, row[] = {i / 3 % 3, i / 2 % 3};
      GroundJson list = GroundJson::array();
      for (int k = 0; k < 2; ++k) {
        const Box box{16 * column[k], 8 * row[k], 16, 8};
        const auto& rgb = kColours[static_cast<std::size_t>(colour[k])].second;
        for (int t = 0; t < 8; ++t) {
          draw_rectangle(
              image, {box.x + t / 2, box.y + t / 2, 16 - t, 8 - t},
              {static_cast<std::uint8_t>(rgb[0]), static_cast<std::uint8_t>(rgb[1]), static_cast<std::uint8_t>(rgb[2])},
              2);
        }
        list.push_back({box.x, box.y, 16, 8, 0.9});
      }
      for (int k = 0; k < 2; ++k) {
        GroundJson record = {{"image", name},
                             {"text", "a " + kColours[static_cast<std::size_t>(colour[k])].first + " thing"},
                             {"ref_id", 2 * i + k},
                             {"bbox", {16 * column[k], 8 * row[k], 16, 8}},
                             {"split", k == 0 ? "testA" : "testB"},
                             {"type", "name"},
                             {"kwords", {"thing"}}};
        if (i % 2 == 0) record.update({{"width", 48}, {"height", 24}});
        records_.push_back(std::move(record));
      }
      boxes[name] = std::move(list);
      write_file_atomic(folder_ / name, encode_png(image));
    }
    write_records("squares.json", records_);
    write_file_atomic(folder_ / "dets.json", boxes.dump());
  }
  void write_records(const std::string& name, const std::vector<GroundJson>& records) const {
    std::string rows;
    for (const GroundJson& record : records) rows += record.dump() + "\n";
    write_file_atomic(folder_ / name, rows);
  }

  GroundingRecipe grounding() const {
    const PretrainRecipe pretrain = recipe();
    GroundingRecipe r;
    r.model = pretrain.model;
    r.init = pretrain.init;
    r.data.batch_size = 16;
    r.data.max_tokens = r.data.concepts.max_tokens = 8;
    r.data.workers = 2;
    r.data.transform.augment.enabled = false;
    r.training = pretrain.training;
    r.data.manifests = {(folder_ / "squares.json").string()};
    r.grounding.maps.boxes = (folder_ / "dets.json").string();
    r.eval.manifest = (folder_ / "squares.json").string();
    return r;
  }
  GroundingRecipe supervised() const {
    GroundingRecipe r = grounding();
    r.grounding.supervised = true;
    r.grounding.width = 32;
    r.objectives.enable_only({});
    return r;
  }
  GroundJson evaluate(const fs::path& checkpoint, const std::string& manifest,
                      const std::vector<std::string>& settings = {}) const {
    return evaluate_task("grounding", checkpoint, manifest, settings);
  }

  std::vector<GroundJson> records_;
};

/// Maps of matching and of similarities are of regions, that of the contrast is of patches; the head judges as ever.
TEST_F(Grounding, WorksWithJointFusion) {
  GroundingRecipe r = grounding();
  make_joint(r.model);
  r.model.fusion.similarity = true;
  r.training.length.max_steps = 3;
  ASSERT_TRUE(train(r, "joint").finished);
  for (const char* map : {"itm", "itc", "similarity"}) {
    const GroundJson judged = evaluate(folder_ / "joint", "squares.json", {std::string("map=") + map});
    EXPECT_EQ(judged.at("by"), map);
    EXPECT_TRUE(judged.contains("pointing"));
  }
  LoadedModel loaded = load_trained(folder_ / "joint", "cpu");
  const Predictor predict = find_task_kind("grounding")->predict(loaded, {.checkpoint = folder_ / "joint"});
  const GroundJson question = {
      {"image", (folder_ / "images/squares3.png").string()}, {"text", records_[6].at("text")}, {"concepts", {"thing"}}};
  EXPECT_TRUE(GroundJson::parse(predict({question.dump(), folder_ / "why.png"})).contains("box"));
  EXPECT_TRUE(fs::exists(folder_ / "why.png"));

  // Without maps of the model's own those of IRTA do, with either fusion.
  for (const FusionKind kind : {FusionKind::kCross, FusionKind::kJoint}) {
    r = grounding();
    make_joint(r.model);
    r.model.fusion.kind = kind;
    r.objectives.at("irta").enabled = true;
    r.grounding.maps.map = GroundingMap::kSimilarity;
    r.training.length.max_steps = 3;
    const std::string out(name_of(kFusionKindNames, kind));
    ASSERT_TRUE(train(r, "irta_" + out).finished);
    EXPECT_EQ(evaluate(folder_ / ("irta_" + out), "squares.json").at("by"), "similarity");
  }

  r = supervised();
  make_joint(r.model);
  r.training.length.max_steps = 3;
  ASSERT_TRUE(train(r, "head").finished);
  EXPECT_EQ(evaluate(folder_ / "head", "squares.json").at("by"), "head");
}

TEST_F(Grounding, LearnsBoxesOfThirtyTwoExpressionsAndAnswers) {
  GroundingRecipe r = supervised();
  r.training.length.max_steps = 240;
  r.training.checkpoint.every_steps = 120;
  ASSERT_TRUE(train(r, "run").finished);
  const GroundJson judged = evaluate(folder_ / "run", "squares.json");
  EXPECT_GE(judged.at("accuracy").get<double>(), 95.0);
  EXPECT_NEAR(judged.at("chance").get<double>(), 50.0, 10.0);
  EXPECT_EQ(judged.at("expressions"), 32);
  EXPECT_EQ(judged.at("pictures"), 16);
  EXPECT_EQ(judged.at("by"), "head");
  EXPECT_TRUE(judged.at("splits").contains("testA") && judged.at("types").contains("name"));
  const GroundJson fitted = evaluate(folder_ / "run", "squares.json", {"calibrate=true"});
  EXPECT_LE(fitted.at("nll").get<double>(), judged.at("nll").get<double>() + 1e-9);

  LoadedModel loaded = load_trained(folder_ / "run", "cpu");
  const Predictor predict = find_task_kind("grounding")->predict(loaded, {.checkpoint = folder_ / "run"});
  GroundJson question = {{"image", (folder_ / "images/squares3.png").string()},
                         {"text", records_[6].at("text")},
                         {"boxes", {records_[6].at("bbox"), records_[7].at("bbox")}},
                         {"concepts", {"thing"}}};
  const GroundJson answer = GroundJson::parse(predict({question.dump(), folder_ / "why.png"}));
  EXPECT_EQ(answer.at("box"), records_[6].at("bbox"));
  EXPECT_GT(answer.at("probability").get<double>(), 0.5);
  EXPECT_EQ(answer.at("calibrated"), true);
  EXPECT_GT(load_rgb(folder_ / "why.png").width, 224);
  EXPECT_EQ(answer.at("explanation"), (folder_ / "why.png").string());
  question["text"] = " ... ";
  EXPECT_NE(refused([&] { predict({question.dump()}); }).find("\"text\" has no words"), std::string::npos);
  question["text"] = records_[6].at("text");
  question["boxes"] = {{60, 0, 5, 5}};
  EXPECT_NE(refused([&] { predict({question.dump()}); }).find("48 x 24"), std::string::npos);
  question["boxes"] = {{1, 2, 3}};
  EXPECT_NE(refused([&] { predict({question.dump()}); }).find("box 1"), std::string::npos);
  question["boxes"] = {records_[6].at("bbox"), {0, 0, 1e308, 5}};
  EXPECT_NE(refused([&] { predict({question.dump()}); }).find("box 2 of \"boxes\" has a number that no picture"),
            std::string::npos);
  question["boxes"] = GroundJson::array();
  EXPECT_NE(refused([&] { predict({question.dump()}); }).find("empty list"), std::string::npos);
}

TEST_F(Grounding, LearnsFromPairsAloneAndResumesToTheSameBits) {
  const GroundingRecipe r = grounding();
  const RunResult whole = train(r, "whole");
  train(r, "parts");
  fs::remove_all(folder_ / "parts" / "checkpoints" / whole.last_checkpoint.filename());
  const RunResult parts = train(r, "parts");
  EXPECT_EQ(read_file(whole.last_checkpoint / "model.safetensors"),
            read_file(parts.last_checkpoint / "model.safetensors"));
  EXPECT_NE(read_file(folder_ / "whole" / "metrics.jsonl").find("\"itm\""), std::string::npos);

  const GroundJson itm = evaluate(folder_ / "whole", "squares.json");
  EXPECT_EQ(itm.at("by"), "itm");
  EXPECT_TRUE(itm.contains("pointing") && itm.contains("without_positive"));
  EXPECT_EQ(evaluate(folder_ / "whole", "squares.json", {"batch_size=3"}).at("accuracy"), itm.at("accuracy"));
  const GroundJson itc = evaluate(folder_ / "whole", "squares.json", {"map=itc", "block=1", "metric=released"});
  EXPECT_EQ(itc.at("by"), "itc");
  EXPECT_EQ(itc.at("metric"), "released");
  EXPECT_NE(refused([&] {
              evaluate(folder_ / "whole", "squares.json", {"map=itc", "block=3"});
            }).find("0 to 2"),
            std::string::npos);
  EXPECT_NE(refused([&] { evaluate(folder_ / "whole", "squares.json", {"layer=1"}); }).find("2 to 3"),
            std::string::npos);
  EXPECT_NE(refused([&] { evaluate(folder_ / "whole", "squares.json", {"map=similarity"}); }).find("similarity"),
            std::string::npos);
  EXPECT_NE(refused([&] { evaluate(folder_ / "whole", "squares.json", {"calibrate=true"}); }).find("--calibrate"),
            std::string::npos);

  LoadedModel loaded = load_trained(folder_ / "whole", "cpu");
  const Predictor predict = find_task_kind("grounding")->predict(loaded, {.checkpoint = folder_ / "whole"});
  const GroundJson question = {
      {"image", (folder_ / "images/squares3.png").string()}, {"text", "a purple thing"}, {"concepts", {"thing"}}};
  const GroundJson answer = GroundJson::parse(predict({question.dump(), folder_ / "why.png"}));
  EXPECT_EQ(answer.at("candidates"), "sliding");
  EXPECT_EQ(answer.at("box").size(), 4U);
  EXPECT_TRUE(fs::exists(folder_ / "why.png"));
}

TEST_F(Grounding, MapsAreSharedAmongRanks) {
  GroundingRecipe r = grounding();
  r.training.length.max_steps = 3;
  const LoadedModel loaded = load_trained(train(r, "short").last_checkpoint, "cpu");
  const auto& model = dynamic_cast<const GroundingModel&>(*loaded.parts);
  const auto set =
      load_questions(loaded, {.checkpoint = folder_ / "short", .manifest = folder_ / "squares.json", .image_root = ""},
                     grounding_schema(), EvaluationPadding{.text = 0, .concepts = -1})
          .set;
  for (const GroundingMap map : {GroundingMap::kItm, GroundingMap::kItc}) {
    GroundingMapOptions options;
    options.map = map;
    const at::Tensor alone = model.maps(set, options, {}, "model", Group::alone());
    std::atomic<int> equal = 0;
    EXPECT_EQ(run_ranks(3,
                        [&](const Group& group) {
                          equal +=
                              alone.allclose(model.maps(set, options, {.batch_size = 2}, "model", group), 1e-4, 1e-7);
                        }),
              std::vector<std::string>(3));
    EXPECT_EQ(equal.load(), 3) << static_cast<int>(map);
  }
}

TEST_F(Grounding, BadBoxesAreNamed) {
  GroundingRecipe r = supervised();
  r.training.length.max_steps = 3;
  r.eval.manifest = "";
  const RunResult run = train(r, "short");
  const auto judged = [&](std::vector<GroundJson> records, const std::string& boxes) {
    write_records("odd.json", records);
    return refused([&] { evaluate(run.last_checkpoint, "odd.json", {"boxes=" + boxes}); });
  };
  const std::string dets = (folder_ / "dets.json").string();
  GroundJson odd = records_[2];
  odd["bbox"] = {100, 0, 10, 10};
  EXPECT_NE(judged({records_[0], odd}, dets).find("odd.json, record 1: field \"bbox\" [100, 0, 10, 10] lies outside"),
            std::string::npos)
      << judged({records_[0], odd}, dets);
  odd = records_[2];
  odd.erase("bbox");
  EXPECT_NE(judged({odd}, dets).find("has no field \"bbox\""), std::string::npos);
  EXPECT_NE(judged({records_[0]}, "").find("--boxes"), std::string::npos);

  write_file_atomic(folder_ / "few.json", R"({"images/squares0.png": [[0, 0, 9, 9]]})");
  const std::string few = (folder_ / "few.json").string();
  EXPECT_NE(judged({records_[4]}, few).find("has no boxes for \"images/squares2.png\""), std::string::npos);
  write_file_atomic(folder_ / "few.json", R"({"images/squares0.png": [[0, 0, 9]]})");
  EXPECT_NE(judged({records_[0]}, few).find("box 1"), std::string::npos);
  write_file_atomic(folder_ / "few.json", R"({"images/squares0.png": [[500, 500, 9, 9]]})");
  EXPECT_NE(judged({records_[0]}, few).find("all candidate boxes lie outside"), std::string::npos);
  write_file_atomic(folder_ / "few.json", "[1, 2]");
  EXPECT_NE(judged({records_[0]}, few).find("not a JSON object"), std::string::npos);

  // What is odd but may be is counted: no candidate at all, candidates that stick out, none that is right.
  write_file_atomic(folder_ / "few.json",
                    R"({"images/squares0.png": [], "squares1.png": [[-5, -5, 12, 12], [40, 20, 5, 4]]})");
  write_records("odd.json", {records_[0], records_[2]});
  const GroundJson counted = evaluate(run.last_checkpoint, "odd.json", {"boxes=" + few});
  EXPECT_EQ(counted.at("without_candidates"), 1);
  EXPECT_EQ(counted.at("without_right_candidate"), 2);
  EXPECT_EQ(counted.at("boxes_cut"), 1);
  EXPECT_EQ(counted.at("accuracy"), 0.0);
}

TEST_F(Grounding, RecipesThatCannotBeAreRefused) {
  GroundingRecipe r = grounding();
  r.objectives.enable_only({});
  EXPECT_THROW(r.finish(), UsageError);
  r = grounding();
  r.grounding.maps.map = GroundingMap::kSimilarity;
  EXPECT_THROW(r.finish(), UsageError);
  r = grounding();
  r.grounding.maps.layer = 1;
  EXPECT_THROW(r.finish(), UsageError);
  r = supervised();
  r.finish();
  EXPECT_EQ(r.data.transform.flip_probability, 0);
  EXPECT_TRUE(r.data.features.whole);
}

}  // namespace
}  // namespace vicha
