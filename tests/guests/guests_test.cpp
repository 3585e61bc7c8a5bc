// The program with the guests in it, command after command; and the program that does not know them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "../run_program.h"
#include "checkpoint/safetensors/safetensors.h"
#include "tasks/pretrain/colour_world_test.h"

namespace vicha {
namespace {

using Json = nlohmann::json;

using Result = ProgramResult;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Values of a loss by step; of a step written twice the later.
std::map<int, double> losses(const fs::path& run, const std::string& name) {
  std::map<int, double> steps;
  std::istringstream lines(read_file(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line);
    if (json.at("losses").contains(name)) steps[json.at("step")] = json.at("losses").at(name);
  }
  return steps;
}

class Guests : public ColourWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    for (const char* name : {"train.json", "test.json"}) add_labels(folder_ / name);
    PretrainRecipe pretrain = recipe();
    pretrain.model.concepts.enabled = pretrain.data.concepts.enabled = false;
    write_file_atomic(folder_ / "pretrain.toml", to_toml(pretrain) + "\n[order]\nenabled = true\nstart = 0.5\n");
    write_file_atomic(folder_ / "plain.toml", to_toml(pretrain));
    // The task's recipe is the part of it that all tasks have.
    std::string names;
    for (const auto& [colour, rgb] : kColours) names += (names.empty() ? "\"" : ", \"") + colour + "\"";
    write_file_atomic(folder_ / "colour.toml",
                      common_part(to_toml(pretrain)) + "\n[colour]\nclasses = [" + names + "]\n");
  }

  /// Adds the field "colour", the caption's second word, to every record.
  static void add_labels(const fs::path& manifest) {
    std::istringstream lines(read_file(manifest));
    std::string labelled;
    for (std::string line; std::getline(lines, line);) {
      Json record = Json::parse(line);
      const std::string caption = record.at("caption");
      record["colour"] = caption.substr(2, caption.find(' ', 2) - 2);
      labelled += record.dump() + "\n";
    }
    write_file_atomic(manifest, labelled);
  }

  /// The sections of a pretraining recipe that every task's recipe has.
  static std::string common_part(const std::string& toml) {
    std::istringstream lines(toml);
    std::string kept, section;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with('[')) section = line.substr(1, line.find_first_of(".]") - 1);
      bool common = false;
      for (const char* name : {"model", "init", "data", "train", "optimizer", "schedule", "checkpoint", "log"}) {
        common = common || section == name;
      }
      if (common) kept += line + "\n";
    }
    return kept;
  }

  Result run(const std::string& program, const std::string& arguments) const {
    return run_program(folder_, program, arguments);
  }
  std::string guests(const std::string& arguments) const {
    const Result result = run(VICHA_GUESTS, arguments);
    EXPECT_EQ(result.status, 0) << arguments << "\n" << result.output;
    return result.output;
  }
  /// What the command says as it fails with that status.
  std::string refused(const std::string& program, const std::string& arguments, int status) const {
    const Result result = run(program, arguments);
    EXPECT_EQ(result.status, status) << arguments << "\n" << result.output;
    return result.output;
  }
  StateDict weights(const std::string& checkpoint) const {
    return read_safetensors(folder_ / checkpoint / "model.safetensors");
  }
  void expect_equal(const std::string& checkpoint, const std::string& other) const {
    const StateDict one = weights(checkpoint), two = weights(other);
    EXPECT_EQ(one.size(), two.size());
    for (const auto& [name, tensor] : one) {
      ASSERT_TRUE(two.contains(name)) << name;
      ASSERT_TRUE(tensor.equal(two.at(name)))
          << name << "\n"
          << read_file(folder_ / checkpoint / "state.json") << read_file(folder_ / other / "state.json")
          << read_file(folder_ / fs::path(checkpoint).begin()->string() / "metrics.jsonl")
          << read_file(folder_ / fs::path(other).begin()->string() / "metrics.jsonl");
    }
  }
};

TEST_F(Guests, ObjectiveIsTrainedResumedEvaluatedAndReported) {
  guests("pretrain pretrain.toml --out run --device cpu");
  // From half of the run on: it set in where its recipe says, and learns from there.
  const auto order = losses(folder_ / "run", "order");
  ASSERT_EQ(order.size(), 3U);
  EXPECT_EQ(order.begin()->first, 4);
  EXPECT_NEAR(order.begin()->second, std::log(2.0), 0.5);
  const StateDict before = weights("run/checkpoints/step-000003"), after = weights("run/checkpoints/step-000006");
  EXPECT_FALSE(before.at("order_head.weight").equal(after.at("order_head.weight")));

  guests("pretrain pretrain.toml --out again --resume run/checkpoints/step-000003 --device cpu");
  expect_equal("again/checkpoints/step-000006", "run/checkpoints/step-000006");
  EXPECT_EQ(losses(folder_ / "again", "order"), order);

  guests("eval retrieval run test.json --out run/eval.json --k-test 4 --device cpu");
  EXPECT_TRUE(Json::parse(read_file(folder_ / "run/eval.json")).contains("text_to_image"));
  guests("report run --device cpu");
  const std::string page = read_file(folder_ / "run/report.html");
  for (const char* part : {"WOP: words out of place", "nats a word", "WOP (30 % moved) from 50 %"}) {
    EXPECT_TRUE(contains(page, part)) << part;
  }
}

TEST_F(Guests, ObjectiveStandsInRecipesAndTheirReference) {
  EXPECT_TRUE(contains(guests("config show pretrain.toml --changes"), "[order]\nenabled = true\nstart = 0.5\n"));
  const std::string reference = guests("config docs");
  for (const char* part : {"Word order", "Share of the words that change places", "Options of a colour recipe"}) {
    EXPECT_TRUE(contains(reference, part)) << part;
  }
  EXPECT_TRUE(contains(refused(VICHA_GUESTS, "config show pretrain.toml --set order.moved=2", 2), "order.moved"));
}

TEST_F(Guests, ObjectiveThatIsOffChangesNoBit) {
  // Both go on from one checkpoint, of the program that does not know it, and so with the same kernels.
  const Result plain = run(VICHA_PROGRAM, "pretrain plain.toml --out plain --device cpu");
  ASSERT_EQ(plain.status, 0) << plain.output;
  guests("pretrain plain.toml --out off --resume plain/checkpoints/step-000003 --device cpu");
  expect_equal("off/checkpoints/step-000006", "plain/checkpoints/step-000006");
}

TEST_F(Guests, TaskIsTrainedResumedEvaluatedAskedAndReported) {
  guests("pretrain pretrain.toml --out run --device cpu");
  const std::string few =
      " --set init.checkpoint=run --set train.max_steps=40 --set checkpoint.every_steps=20 --set "
      "eval.manifest=test.json";
  const std::string said = guests("finetune colour colour.toml --out task --device cpu" + few);
  EXPECT_TRUE(contains(said, "2 missing (colour_head.weight, colour_head.bias)")) << said;
  guests("finetune colour colour.toml --out again --resume task/checkpoints/step-000020 --device cpu" + few);
  expect_equal("again/checkpoints/step-000040", "task/checkpoints/step-000040");

  EXPECT_TRUE(contains(guests("eval colour task test.json --out task/eval.json --device cpu"), "right, %"));
  const Json result = Json::parse(read_file(folder_ / "task/eval.json"));
  EXPECT_EQ(result.at("pictures"), 8);
  EXPECT_EQ(result.at("chance"), 12.5);
  EXPECT_GE(result.at("accuracy"), 75.0) << result;

  const Json answer = Json::parse(guests(R"(-q predict colour task '{"image": "images/blue100.png"}' --device cpu)"));
  EXPECT_EQ(answer.at("image"), "images/blue100.png");
  EXPECT_TRUE(answer.at("colour").is_string());
  EXPECT_GT(answer.at("probability"), 0.125);
  EXPECT_TRUE(contains(refused(VICHA_GUESTS, R"(predict colour task '{"picture": 1}' --device cpu)", 3), "\"image\""));

  guests("report task --device cpu");
  const std::string page = read_file(folder_ / "task/report.html");
  for (const char* part :
       {"ViCHA colour run", "Right answers", "12.5 %", "Total loss", "classes.purple", "2 evaluations"}) {
    EXPECT_TRUE(contains(page, part)) << part;
  }
  EXPECT_FALSE(contains(page, "eval retrieval"));
}

TEST_F(Guests, TaskReadsCaptionsThroughTheFusionLayers) {
  guests(
      "finetune colour colour.toml --out task --device cpu --set colour.captions=true --set train.max_steps=40 "
      "--set checkpoint.every_steps=20");
  const StateDict before = weights("task/checkpoints/step-000020"), after = weights("task/checkpoints/step-000040");
  const std::string fused = "text_encoder.bert.encoder.layer.2.output.dense.weight";
  EXPECT_FALSE(before.at(fused).equal(after.at(fused)));
  guests("eval colour task test.json --out eval.json --device cpu");
  EXPECT_GE(Json::parse(read_file(folder_ / "eval.json")).at("accuracy"), 75.0);
  const std::string answer =
      guests(R"(-q predict colour task '{"image": "images/red100.png", "caption": "a red picture"}' --device cpu)");
  EXPECT_EQ(Json::parse(answer).at("colour"), "red");
}

TEST_F(Guests, RecordsWithoutTheTasksFieldAreNamed) {
  write_file_atomic(folder_ / "bare.json", R"({"image": "images/red0.png", "caption": "a red picture"})"
                                           "\n");
  const std::string said =
      refused(VICHA_GUESTS, "finetune colour colour.toml --out none --set data.manifests='[\"bare.json\"]'", 3);
  EXPECT_TRUE(contains(said, "bare.json, record 0")) << said;
  EXPECT_TRUE(contains(said, "colour")) << said;
}

TEST_F(Guests, ThePlainProgramSaysWhatItDoesNotKnow) {
  guests("pretrain pretrain.toml --out run --device cpu --set train.max_steps=2 --set order.start=0");
  guests("finetune colour colour.toml --out task --device cpu --set train.max_steps=2 --set init.checkpoint=run");
  const std::string section = refused(VICHA_PROGRAM, "eval retrieval run test.json --device cpu", 3);
  EXPECT_TRUE(contains(section, "recipe.toml") && contains(section, "'order'")) << section;
  const std::string task = refused(VICHA_PROGRAM, "eval retrieval task test.json --device cpu", 3);
  EXPECT_TRUE(contains(task, "the task 'colour', which this program does not have")) << task;
  const std::string heads =
      refused(VICHA_PROGRAM, "pretrain plain.toml --out new --device cpu --set init.checkpoint=run", 3);
  EXPECT_TRUE(contains(heads, "order_head.weight")) << heads;

  // The program that knows them starts from such files, and keeps the tasks' models apart.
  guests("pretrain plain.toml --out new --device cpu --set train.max_steps=1 --set init.checkpoint=run");
  guests("pretrain plain.toml --out back --device cpu --set train.max_steps=1 --set init.checkpoint=task");
  const std::string other = refused(VICHA_GUESTS, "eval colour run test.json --device cpu", 3);
  EXPECT_TRUE(contains(other, "is a model of the task 'pretrain', not 'colour'")) << other;
}

TEST_F(Guests, ASourceOfConceptsIsKnownByItsPrefix) {
  std::string colours, words;
  for (const auto& [name, rgb] : kColours) {
    colours += name + " " + std::to_string(rgb[0]) + " " + std::to_string(rgb[1]) + " " + std::to_string(rgb[2]) + "\n";
    words += name + "\t1\n";
  }
  write_file_atomic(folder_ / "colours.txt", colours);
  write_file_atomic(folder_ / "words.tsv", words);
  const std::string arguments =
      "concepts build --captions train.json --vocab words.tsv --k 1 --out concepts.json --source hue:colours.txt";
  const Result built = run_program(folder_, VICHA_GUESTS, arguments);
  EXPECT_EQ(built.status, 0) << built.output;
  std::istringstream lines(read_file(folder_ / "concepts.json"));
  int records = 0;
  for (std::string line; std::getline(lines, line); ++records) {
    const Json record = Json::parse(line);
    EXPECT_EQ(record.at("kwords").at(0), record.at("colour"));
  }
  EXPECT_EQ(records, 48);
  const Result without = run_program(folder_, VICHA_PROGRAM, arguments);
  EXPECT_EQ(without.status, 2) << without.output;
  EXPECT_TRUE(contains(without.output, "\"hue:colours.txt\" is not a source of concepts")) << without.output;
}

}  // namespace
}  // namespace vicha
