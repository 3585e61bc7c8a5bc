// A downstream task from the command line: trained, evaluated, calibrated, asked one by one and line by line.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "../run_program.h"
#include "tasks/entailment/entailment.h"
#include "tasks/pretrain/colour_world_test.h"

namespace vicha {
namespace {

using Json = nlohmann::json;

class DownstreamCommands : public ColourWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    std::string rows;
    for (int i = 0; i < 24; ++i) {
      const std::string& colour = kColours[static_cast<std::size_t>(i % 8)].first;
      rows += R"({"image": "images/)" + colour + R"(0", "sentence": "a )" + colour + R"( picture", "label": )" +
              std::to_string(i % 3) + R"(, "kwords": ["thing"]})" + "\n";
      // As SNLI-VE does, without the ending.
      fs::copy_file(folder_ / ("images/" + colour + "0.png"), folder_ / ("images/" + colour + "0.jpg"),
                    fs::copy_options::overwrite_existing);
    }
    write_file_atomic(folder_ / "ve.json", rows);
    const PretrainRecipe pretrain = recipe();
    EntailmentRecipe r;
    r.model = pretrain.model;
    r.init = pretrain.init;
    r.data = pretrain.data;
    r.training = pretrain.training;
    r.data.manifests = {"ve.json"};
    r.eval.manifest = "ve.json";
    write_file_atomic(folder_ / "ve.toml", to_toml(r));
  }

  std::string done(const std::string& arguments, int status = 0) const {
    const ProgramResult result = run_program(folder_, "/bin/bash", "-c \"" VICHA_PROGRAM " " + arguments + "\"");
    EXPECT_EQ(result.status, status) << arguments << "\n" << result.output;
    return result.output;
  }
  static bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
};

TEST_F(DownstreamCommands, WordsThatAreNoCommandAreNamed) {
  const std::string task = done("finetune vga ve.toml --out run", 2);
  EXPECT_TRUE(has(task, "vicha finetune: there is no command 'vga'. Did you mean 'vqa'?")) << task;
  EXPECT_TRUE(has(task, "entailment") && has(task, "--help")) << task;
  EXPECT_TRUE(has(done("data", 2), "vicha data: a command is missing"));
  const std::string far = done("dance", 2);
  EXPECT_TRUE(has(far, "there is no command 'dance'") && !has(far, "Did you mean") && has(far, "pretrain")) << far;
  EXPECT_TRUE(has(done("finetune vqa --out run", 2), "RECIPE is required"));
}

TEST_F(DownstreamCommands, TrainEvaluateAndAnswer) {
  done("finetune entailment ve.toml --out run --device cpu");
  EXPECT_TRUE(has(done("eval entailment run ve.json --calibrate --out run/eval.json --device cpu"), "right, %"));
  done("eval entailment run ve.json --calibrate --device cpu");  // its own file in the checkpoint is written anew
  const std::string checkpoint = "run/checkpoints/step-000006";
  for (const char* file : {"config.json", "calibration.json", "state.json"}) {
    const std::string said = done(
        "predict entailment run --concepts none --image images/red0.png --text a --explain " + checkpoint + "/" + file,
        2);
    EXPECT_TRUE(has(said, "read by this command") || has(said, "which this command reads")) << said;
  }
  EXPECT_TRUE(Json::parse(read_file(folder_ / "run/eval.json")).at("calibration").contains("temperature"));

  const std::string asked = "--concepts none --device cpu";
  const Json one =
      Json::parse(done("-q predict entailment run --image images/red0.png --text 'a red picture' " + asked));
  EXPECT_EQ(one.at("sentence"), "a red picture");
  EXPECT_EQ(one.at("calibrated"), true);

  write_file_atomic(folder_ / "lines.jsonl",
                    R"({"image": "images/red0", "sentence": "a red picture"}
{"image": "images/red0.png"}

{"image": "images/none.png", "sentence": "a"}
{"image": "images/blue0.png", "sentence": "a thing"}
)");
  const std::string output = done("-q predict entailment run " + asked + " < lines.jsonl 2>/dev/null", 3);
  std::istringstream lines(output);
  std::vector<Json> answers;
  for (std::string line; std::getline(lines, line);) answers.push_back(Json::parse(line));
  ASSERT_EQ(answers.size(), 4u) << output;
  EXPECT_EQ(answers[0].at("probability"), one.at("probability")) << "named without .jpg: the same picture";
  EXPECT_EQ(answers[1].at("line"), 2);
  EXPECT_TRUE(has(answers[1].at("error"), "no field \"sentence\""));
  EXPECT_EQ(answers[2].at("line"), 4);
  EXPECT_TRUE(has(answers[2].at("error"), "none.png"));
  EXPECT_TRUE(answers[3].contains("answer"));

  // The second line's picture lies where the explanation of the first would.
  fs::create_directories(folder_ / "why");
  fs::copy_file(folder_ / "images/blue0.png", folder_ / "why/000001.png");
  const std::string picture = read_file(folder_ / "why/000001.png");
  write_file_atomic(folder_ / "lines.jsonl", R"({"image": "images/red0.png", "sentence": "a red picture"}
{"image": "why/000001.png", "sentence": "a blue picture"}
)");
  const std::string both = done("-q predict entailment run " + asked + " --explain why < lines.jsonl 2>/dev/null", 3);
  EXPECT_TRUE(has(both, "why/000001.png: is a picture that the input asks about")) << both;
  EXPECT_TRUE(has(both, "why/000002.png")) << both;
  EXPECT_EQ(read_file(folder_ / "why/000001.png"), picture);
  EXPECT_TRUE(fs::exists(folder_ / "why/000002.png"));
}

TEST_F(DownstreamCommands, LinesOfAnyKindAreAnsweredEachForItself) {
  done("finetune entailment ve.toml --out run --set train.max_steps=1 --device cpu");
  const std::string right = R"({"image": "images/red0.png", "sentence": "a red picture"})";
  write_file_atomic(folder_ / "lines.jsonl", "\xEF\xBB\xBF" + right + "\r\n" + std::string(5 << 20, 'a') + "\n" +
                                                 std::string("\0\0x", 3) + "\n" + right);
  const std::string output =
      done("-q predict entailment run --concepts none --device cpu < lines.jsonl 2>/dev/null", 3);
  std::istringstream lines(output);
  std::vector<Json> answers;
  for (std::string line; std::getline(lines, line);) answers.push_back(Json::parse(line));
  ASSERT_EQ(answers.size(), 4u) << output.substr(0, 2000);
  EXPECT_TRUE(answers[0].contains("answer"));
  EXPECT_EQ(answers[1].at("line"), 2);
  EXPECT_TRUE(has(answers[1].at("error"), "standard input, line 2: has more than 4 MiB")) << answers[1];
  EXPECT_EQ(answers[2].at("line"), 3);
  EXPECT_TRUE(has(answers[2].at("error"), "\\x00\\x00x: is not JSON (")) << answers[2];
  EXPECT_EQ(answers[3].at("answer"), answers[0].at("answer"));
}

TEST_F(DownstreamCommands, WrongUseIsSaid) {
  done("finetune entailment ve.toml --out run --set train.max_steps=1 --device cpu");
  EXPECT_TRUE(has(done("predict entailment run --image a.png --image b.png --text x", 2), "1 picture is wanted"));
  EXPECT_TRUE(has(done("predict entailment run --image a.png", 2), "--text is missing"));
  EXPECT_TRUE(has(done("predict entailment run '{}' --text x", 2), "not both ways"));
  EXPECT_TRUE(has(done("eval entailment run train.json", 3), "sentence"));
  EXPECT_TRUE(has(done("eval entailment run ve.json --batch 0", 2), "--batch"));
  EXPECT_TRUE(has(done("eval vqa run q.json --submission s.json --out ./s.json", 2),
                  "--submission is the same file as --out (./s.json)"));
  const std::string none = R"({"image": "images/red0", "sentence": "a", "label": "-", "kwords": []})";
  write_file_atomic(folder_ / "none.json", none + "\n" + none + "\n");
  for (const char* command :
       {"eval entailment run none.json",
        "finetune entailment ve.toml --out other --set 'data.manifests=[\\\"none.json\\\"]' --device cpu"}) {
    EXPECT_TRUE(has(done(command, 3), "none.json: all 2 records have the label \"-\"")) << command;
  }
}

}  // namespace
}  // namespace vicha
