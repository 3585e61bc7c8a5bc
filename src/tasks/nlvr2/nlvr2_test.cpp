// Statements about two drawn pictures: text assignment, then NLVR2, trained, resumed, evaluated and asked through the
// same calls as the command line.
#include "tasks/nlvr2/nlvr2.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "checkpoint/safetensors/safetensors.h"
#include "distributed/thread_group_test_support.h"
#include "image/decode.h"
#include "tasks/downstream/questions.h"
#include "tasks/downstream/task_world_test.h"
#include "tasks/nlvr2/text_assignment.h"

namespace vicha {
namespace {

using StatementJson = nlohmann::ordered_json;

class Statements : public TaskWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    std::string rows;
    for (std::size_t i = 0; i < 32; ++i) rows += record(i).dump() + "\n";
    write_file_atomic(folder_ / "statements.json", rows);
  }

  /// Each sentence stands there twice: true, its colour being that of the second picture, and false.
  StatementJson record(std::size_t i) const {
    const bool truth = i % 2 == 0;
    const std::size_t at = i / 2 % 8, copy = i / 16;
    const std::string &colour = kColours[at].first, &other = kColours[(at + 3) % 8].first;
    const std::string own = fmt::format("images/{}{}.png", colour, copy),
                      others = fmt::format("images/{}{}.png", other, copy);
    return {{"images", truth ? std::vector{others, own} : std::vector{own, others}},
            {"sentence", "A " + colour + (copy == 0 ? " picture." : " thing.")},
            {"label", truth ? "True" : "False"},
            {"type", copy == 0 ? "picture" : "thing"},
            {"kwords", {"thing"}},
            {"kwords1", {"thing"}},
            {"kwords2", {"a thing", "thing"}}};
  }

  Nlvr2Recipe nlvr2(const std::string& manifest = "statements.json") const { return small<Nlvr2Recipe>(manifest); }
  StatementJson evaluate(const fs::path& checkpoint, const std::string& manifest) const {
    return evaluate_task("nlvr2", checkpoint, manifest);
  }
};

/// Both pictures in one pass (2), or the text read with either apart (1).
class StatementsRead : public Statements, public testing::WithParamInterface<std::int64_t> {};
INSTANTIATE_TEST_SUITE_P(Pictures, StatementsRead, testing::Values(1, 2));

TEST_P(StatementsRead, AreLearntByHeartEvaluatedAndAsked) {
  Nlvr2Recipe r = nlvr2();
  r.model.fusion.images = GetParam();
  r.model.text.dropout = 0.0;
  r.training.length.max_steps = 480;
  r.training.checkpoint.every_steps = 120;
  r.eval.manifest = (folder_ / "statements.json").string();
  const RunResult result = train(r, "run");
  EXPECT_TRUE(result.finished);
  const StatementJson found = evaluate(folder_ / "run", "statements.json");
  EXPECT_GE(found.at("accuracy").get<double>(), 95.0);
  EXPECT_GE(found.at("consistency").get<double>(), 90.0);
  EXPECT_EQ(found.at("sentences"), 16);
  EXPECT_EQ(found.at("records"), 32);
  EXPECT_TRUE(found.at("types").contains("picture") && found.at("types").contains("thing"));
  EXPECT_TRUE(found.contains("nll") && found.contains("ece"));

  LoadedModel loaded = load_trained(folder_ / "run", "cpu");
  const Predictor predict = find_task_kind("nlvr2")->predict(loaded, {.checkpoint = folder_ / "run"});
  std::int64_t right = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const StatementJson row = record(i);
    StatementJson question = {{"sentence", row.at("sentence")}, {"concepts", {row.at("kwords1"), row.at("kwords2")}}};
    for (const auto& image : row.at("images")) question["images"].push_back((folder_ / image).string());
    const StatementJson answer = StatementJson::parse(predict({question.dump()}));
    right += answer.at("answer") == row.at("label") ? 1 : 0;
    question["image"] = question["images"][0];
    question["image2"] = question["images"][1];
    question.erase("images");
    EXPECT_EQ(StatementJson::parse(predict({question.dump()})).at("probabilities"), answer.at("probabilities"));
  }
  EXPECT_GE(right, 3);
  const fs::path drawn = folder_ / "why.png";
  StatementJson asked = {{"sentence", "a red picture"}, {"concepts", {{"thing"}, {"thing"}}}};
  for (const char* image : {"images/red0.png", "images/blue1.png"})
    asked["images"].push_back((folder_ / image).string());
  EXPECT_EQ(StatementJson::parse(predict({asked.dump(), drawn})).at("explanation"), drawn.string());
  const Image sheet = load_rgb(drawn);
  EXPECT_GT(sheet.height, 2 * 224) << "a row for each picture";
  asked["sentence"] = "...";
  EXPECT_TRUE(says(refused([&] { predict({asked.dump()}); }), {"\"sentence\" has no words"}));
  EXPECT_TRUE(
      says(refused([&] { predict({R"({"images": ["a.png"], "sentence": "a thing"})"}); }), {"names 1 picture, not 2"}));
  EXPECT_TRUE(
      says(refused([&] { predict({R"({"images": ["a.png", "b.png"], "image": "c.png", "sentence": "a thing"})"}); }),
           {"Give one form"}));
  EXPECT_TRUE(says(refused([&] { predict({R"({"image": "a.png", "sentence": "a thing", "concepts": [[], []]})"}); }),
                   {"image2"}));
}

/// Pretraining with one picture, text assignment and NLVR2 with two, all joint: the layers go on as they are.
TEST_F(Statements, FollowAJointPretraining) {
  PretrainRecipe pretrain = recipe();
  pretrain.training.length.max_steps = 2;
  make_joint(pretrain.model);
  TextAssignmentRecipe assignment = small<TextAssignmentRecipe>("train.json");
  make_joint(assignment.model);
  assignment.training.length.max_steps = 2;
  assignment.init.checkpoint = run(pretrain, "pretrained").last_checkpoint.string();
  Nlvr2Recipe r = nlvr2();
  make_joint(r.model);
  r.init.checkpoint = train(assignment, "assigned").last_checkpoint.string();
  const RunResult result = train(r, "run");
  ASSERT_TRUE(result.finished);
  const StateDict weights = read_safetensors(result.last_checkpoint / "model.safetensors");
  EXPECT_TRUE(weights.contains("text_encoder.bert.encoder.layer.3.output.dense.weight"));
  EXPECT_FALSE(weights.contains("text_encoder.bert.encoder.layer.4.output.dense.weight"));
  EXPECT_TRUE(weights.contains("text_encoder.bert.image_embeddings.type_1"));
  EXPECT_EQ(evaluate(folder_ / "run", "statements.json").at("records"), 32);
}

TEST_P(StatementsRead, ScoresDependNeitherOnBlocksNorOnRanks) {
  Nlvr2Recipe r = nlvr2();
  r.model.fusion.images = GetParam();
  const LoadedModel loaded = load_trained(train(r, "short").last_checkpoint, "cpu");
  const auto& model = dynamic_cast<const Nlvr2Model&>(*loaded.parts);
  const EvaluateCommand command{
      .checkpoint = folder_ / "short", .manifest = folder_ / "statements.json", .image_root = ""};
  const auto set = load_questions(loaded, command, find_task_kind("nlvr2")->schema(*loaded.recipe)).set;
  const auto scored = [&](std::int64_t batch_size, const Group& group) {
    return score_questions(
        loaded.vicha(), set, {.batch_size = batch_size}, 2,
        [&](const QuestionBatch& batch) {
          return model.net().logits(fuse_statements(loaded.vicha().online(), batch.text, batch.kv,
                                                    FusedImages(batch.image), batch.image_of.at(0),
                                                    batch.image_of.at(1), Dropout()));
        },
        "model", group);
  };
  const at::Tensor one = scored(2, Group::alone());
  EXPECT_TRUE(one.allclose(scored(7, Group::alone()), 1e-4, 1e-5));
  std::atomic<int> equal = 0;
  EXPECT_EQ(run_ranks(3, [&](const Group& group) { equal += one.allclose(scored(5, group), 1e-4, 1e-5) ? 1 : 0; }),
            std::vector<std::string>(3));
  EXPECT_EQ(equal.load(), 3);
}

TEST_P(StatementsRead, ResumedRunEndsWithTheSameBits) {
  Nlvr2Recipe r = nlvr2();
  r.model.fusion.images = GetParam();
  const RunResult whole = train(r, "whole");
  train(r, "parts");
  fs::remove_all(folder_ / "parts" / "checkpoints" / whole.last_checkpoint.filename());
  const RunResult parts = train(r, "parts");
  for (const char* file : {"model.safetensors", "optimizer.safetensors"}) {
    EXPECT_EQ(read_file(whole.last_checkpoint / file), read_file(parts.last_checkpoint / file)) << file;
  }
}

/// Read apart, pictures need no layers of their own: the pretraining's go on as they are, joint ones too.
TEST_F(Statements, ReadApartFollowAPretrainingAsItIs) {
  for (const bool joint : {false, true}) {
    PretrainRecipe pretrain = recipe();
    pretrain.training.length.max_steps = 2;
    Nlvr2Recipe r = nlvr2();
    r.model.fusion.images = 1;
    r.training.length.max_steps = 2;
    if (joint) {
      make_joint(pretrain.model);
      make_joint(r.model);
    }
    const std::string name = joint ? "joint" : "cross";
    const fs::path before = run(pretrain, name + " pretrained").last_checkpoint;
    r.init.checkpoint = before.string();
    const StateDict old = read_safetensors(before / "model.safetensors"),
                    weights = read_safetensors(train(r, name).last_checkpoint / "model.safetensors");
    for (const auto& [key, tensor] : weights) {
      if (!key.starts_with("text_encoder.")) continue;
      EXPECT_TRUE(old.contains(key)) << key;
    }
    EXPECT_EQ(weights.at("cls_head.0.weight").size(1), 2 * r.model.text.width);
    EXPECT_EQ(evaluate(folder_ / name, "statements.json").at("records"), 32);
  }
}

/// Pretraining, text assignment (resumed to the same bits), NLVR2: layers doubled, keys and values kept once.
TEST_F(Statements, FollowPretrainingAndTextAssignment) {
  PretrainRecipe pretrain = recipe();
  pretrain.training.length.max_steps = 3;
  const fs::path before = run(pretrain, "pretrained").last_checkpoint;
  TextAssignmentRecipe assignment = small<TextAssignmentRecipe>("train.json");
  assignment.init.checkpoint = before.string();
  const RunResult whole = train(assignment, "whole");
  train(assignment, "parts");
  fs::remove_all(folder_ / "parts" / "checkpoints" / whole.last_checkpoint.filename());
  EXPECT_EQ(read_file(whole.last_checkpoint / "model.safetensors"),
            read_file(train(assignment, "parts").last_checkpoint / "model.safetensors"));

  const StateDict old = read_safetensors(before / "model.safetensors"),
                  taught = read_safetensors(whole.last_checkpoint / "model.safetensors");
  const std::string layer = "text_encoder.bert.encoder.layer.";
  for (const std::string part : {".crossattention.self.key.weight", ".crossattention.self.value.bias"}) {
    EXPECT_TRUE(taught.at(layer + "2" + part).equal(taught.at(layer + "3" + part))) << "one parameter";
    EXPECT_TRUE(taught.at(layer + "4" + part).equal(taught.at(layer + "5" + part)));
  }
  const std::string query = ".crossattention.self.query.weight";
  EXPECT_FALSE(taught.at(layer + "2" + query).equal(taught.at(layer + "3" + query))) << "each learns its own";
  EXPECT_FALSE(taught.contains(layer + "6" + query));

  for (const auto& [start, name] :
       {std::pair{before, "from-pretraining"}, {whole.last_checkpoint, "from-assignment"}}) {
    Nlvr2Recipe r = nlvr2();
    r.init.checkpoint = start.string();
    r.finish();
    const auto model = std::make_unique<Nlvr2Model>(r, 3);
    initialise_model(*model, r.init);
    const StateDict& weights = start == before ? old : taught;
    const ParameterStore& store = model->vicha().parameters();
    for (const ParameterStore::Released& one : store.released()) {
      if (!one.name.ends_with(query)) continue;
      std::string from = one.name;
      if (start == before) {
        for (const auto& [doubled, plain] : {std::pair{".3.", ".2."}, {".4.", ".3."}, {".5.", ".3."}}) {
          if (const std::size_t at = one.name.find(doubled); at != from.npos) from.replace(at, 3, plain);
        }
      }
      EXPECT_TRUE(store.view(one).equal(weights.at(from))) << one.name;
    }
    r.training.length.max_steps = 2;
    EXPECT_TRUE(train(r, name).finished);
  }
  EXPECT_TRUE(says(refused([&] { evaluate(before, "statements.json"); }), {"is a model of the task 'pretrain'"}));
  // A model of two pictures is no good for pairs of one.
  EXPECT_TRUE(says(
      refused([&] {
        evaluate_trained(*find_task_kind("retrieval"),
                         {.checkpoint = whole.last_checkpoint, .manifest = folder_ / "test.json", .image_root = ""});
      }),
      {"model.fusion.images", "is a model of the task 'text-assignment' that reads 2 pictures with a text"}));
}

TEST_F(Statements, BadRecordsAreRefusedByPlaceAndRemedy) {
  const auto message = [&](const StatementJson& second) {
    write_file_atomic(folder_ / "bad.json", record(0).dump() + "\n" + second.dump() + "\n");
    return refused([&] { train(nlvr2("bad.json"), "bad"); });
  };
  StatementJson bad = record(1);
  bad["images"] = {"images/red0.png"};
  EXPECT_TRUE(says(message(bad), {"bad.json, record 1", "names 1 pictures, not 2"}));
  bad = record(1);
  bad["label"] = "Yes";
  EXPECT_TRUE(says(message(bad), {"bad.json, record 1", "\"label\"", "\"Yes\"", "True"}));
  bad = record(1);
  bad.erase("sentence");
  EXPECT_TRUE(says(message(bad), {"bad.json, record 1", "\"sentence\" is missing"}));
  bad = record(1);
  bad.erase("kwords2");
  EXPECT_TRUE(says(message(bad), {"bad.json, record 1", "\"kwords2\" is missing"}));
  EXPECT_TRUE(says(refused([&] { train(nlvr2("train.json"), "other"); }), {"train.json"})) << "of another task";

  // A picture that is not there: an evaluation without it would be another one.
  const RunResult result = train(nlvr2(), "run");
  bad = record(1);
  bad["images"][1] = "images/gone.png";
  write_file_atomic(folder_ / "gone.json", record(0).dump() + "\n" + bad.dump() + "\n");
  EXPECT_TRUE(says(refused([&] { evaluate(result.last_checkpoint, "gone.json"); }),
                   {"gone.json, record 1", "images/gone.png"}));
}

TEST_F(Statements, RecipesThatDoNotFitAreRefused) {
  Nlvr2Recipe three = nlvr2();
  three.model.fusion.images = 3;
  EXPECT_TRUE(says(refused([&] { three.finish(); }), {"model.fusion.images = 3", "set 2", "or 1"}));
  TextAssignmentRecipe one = small<TextAssignmentRecipe>("train.json");
  one.model.fusion.images = 1;
  EXPECT_TRUE(says(refused([&] { one.finish(); }), {"model.fusion.images = 1", "model.fusion.images=2"}));
  TextAssignmentRecipe few = small<TextAssignmentRecipe>("train.json");
  few.data.batch_size = 2;
  EXPECT_TRUE(says(refused([&] { few.finish(); }), {"data.batch_size = 2", "3 or more"}));
  PretrainRecipe pretrain = recipe();
  pretrain.model.fusion.images = 2;
  EXPECT_TRUE(says(refused([&] { run(pretrain, "two"); }), {"model.fusion.images", "pretraining"}));
}

}  // namespace
}  // namespace vicha
