// What the program of before objectives became plug-ins wrote (tests/golden/compat/make.sh): this one evaluates it,
// goes on from it, and comes to the same numbers. Tolerances are for other machines; on the one that made the files all
// is equal.
#include <ATen/ops/linalg_vector_norm.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "../run_program.h"
#include "base/files.h"
#include "checkpoint/safetensors/safetensors.h"

namespace vicha {
namespace {

using Json = nlohmann::json;

constexpr int kSavedStep = 60, kLastStep = 64;
constexpr double kLossTolerance = 1e-4;    // relative; a change of every weight in its last bit moves losses by 1e-6
constexpr double kWeightTolerance = 2e-3;  // relative, of a tensor's norm
constexpr double kScoreTolerance = 2e-4;   // cosines, written with four digits
// Keys' biases have no gradient but rounding, which AdamW makes a step of: four steps of 1e-3, either way.
constexpr double kNoGradientTolerance = 8e-3;

using Result = ProgramResult;

/// A copy of the old files, in which the program runs.
class OldFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("vicha_compat_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::copy(fs::path(VICHA_SOURCE_DIR) / "tests/golden/compat", folder_, fs::copy_options::recursive);
  }
  void TearDown() override { fs::remove_all(folder_); }

  Result vicha(const std::string& arguments) const { return run_program(folder_, VICHA_PROGRAM, arguments); }
  std::string run_well(const std::string& arguments) const {
    const Result result = vicha(arguments);
    EXPECT_EQ(result.status, 0) << arguments << "\n" << result.output;
    return result.output;
  }

  Json read_json(const std::string& file) const { return Json::parse(read_file(folder_ / file)); }
  /// Lines of metrics.jsonl by their step; of a step written twice the later.
  std::map<int, Json> metrics(const std::string& file) const {
    std::map<int, Json> steps;
    std::istringstream lines(read_file(folder_ / file));
    for (std::string line; std::getline(lines, line);) {
      const Json json = Json::parse(line);
      steps[json.at("step")] = json;
    }
    return steps;
  }

  void expect_losses(const std::string& run, int first, int last) const {
    const auto expected = metrics("expected/metrics.jsonl"), got = metrics(run + "/metrics.jsonl");
    for (int step = first; step <= last; ++step) {
      SCOPED_TRACE(run + ", step " + std::to_string(step));
      ASSERT_TRUE(got.contains(step));
      EXPECT_DOUBLE_EQ(got.at(step).at("lr"), expected.at(step).at("lr"));
      ASSERT_EQ(expected.at(step).at("losses").size(), 6U);
      for (const auto& [name, loss] : expected.at(step).at("losses").items()) {
        ASSERT_TRUE(got.at(step).at("losses").contains(name)) << name;
        const double value = loss;
        EXPECT_NEAR(got.at(step).at("losses").at(name).get<double>(), value, kLossTolerance * std::abs(value)) << name;
      }
    }
  }

  void expect_last_weights(const std::string& run) const {
    const StateDict expected = read_safetensors(folder_ / "expected/step-000064.safetensors"),
                    got = read_safetensors(folder_ / run / "checkpoints/step-000064/model.safetensors");
    EXPECT_EQ(got.size(), expected.size());
    for (const auto& [name, tensor] : expected) {
      ASSERT_TRUE(got.contains(name)) << name;
      const at::Tensor& other = got.at(name);
      ASSERT_EQ(other.sizes(), tensor.sizes()) << name;
      ASSERT_EQ(other.scalar_type(), tensor.scalar_type()) << name;
      const at::Tensor difference = other.to(at::kDouble) - tensor.to(at::kDouble);
      if (name.ends_with("key.bias")) {
        EXPECT_LE(difference.abs().max().item<double>(), kNoGradientTolerance) << name;
      } else {
        EXPECT_LE(at::linalg_vector_norm(difference).item<double>(),
                  kWeightTolerance * at::linalg_vector_norm(tensor.to(at::kDouble)).item<double>())
            << name;
      }
    }
  }

  fs::path folder_;
};

TEST_F(OldFiles, ARunGoesOnFromItsCheckpoint) {
  // From a recipe that names every key there was.
  run_well("pretrain every_key.toml --out run --device cpu");
  expect_losses("run", kSavedStep + 1, kLastStep);
  expect_last_weights("run");
}

TEST_F(OldFiles, AnotherRunGoesOnFromANamedCheckpoint) {
  run_well("pretrain concepts.toml --out other --resume run/checkpoints/step-000060 --device cpu");
  expect_losses("other", kSavedStep + 1, kLastStep);
}

TEST_F(OldFiles, ACheckpointsOwnRecipeGoesOn) {
  fs::copy(folder_ / "run/checkpoints/step-000060/recipe.toml", folder_ / "own.toml");
  run_well("pretrain own.toml --out run --device cpu");
  expect_losses("run", kSavedStep + 1, kLastStep);
}

TEST_F(OldFiles, ANewRunStartsFromAModelAsItDid) {
  run_well("pretrain concepts.toml --out fresh --device cpu --set train.max_steps=2 --set checkpoint.every_steps=0");
  expect_losses("fresh", 1, 2);
}

TEST_F(OldFiles, AModelIsEvaluated) {
  run_well("eval retrieval run test.json --out eval.json --device cpu");
  const Json got = read_json("eval.json"), expected = read_json("run/eval.json");
  EXPECT_NE(expected.at("itc"), expected.at("matching"));  // or the comparison would say little
  for (const auto& [key, value] : expected.items()) {
    if (key == "seconds" || key == "checkpoint") continue;
    ASSERT_TRUE(got.contains(key)) << key;
    EXPECT_EQ(got.at(key), value) << key;
  }
}

TEST_F(OldFiles, AnEvaluatedRunIsReportedAndCompared) {
  const std::string page = (run_well("report run --out page.html --device cpu"), read_file(folder_ / "page.html"));
  for (const char* part : {"hitc", "A blue ball on a white wall.", "contrast", "data:image/png"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part;
  }
  EXPECT_NE(run_well("eval compare run").find("25.0 "), std::string::npos);
}

/// "section.key" -> what follows "=".
std::map<std::string, std::string> keys_of(const std::string& toml) {
  std::map<std::string, std::string> keys;
  std::string section;
  std::istringstream lines(toml);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('[')) section = line.substr(1, line.find(']') - 1) + ".";
    const auto equals = line.find(" = ");
    if (line.empty() || line[0] == '#' || line[0] == '[' || equals == std::string::npos) continue;
    keys[section + line.substr(0, equals)] = line.substr(equals + 3);
  }
  return keys;
}

TEST_F(OldFiles, EveryKeyOfARecipeIsStillRead) {
  const auto old = keys_of(read_file(folder_ / "every_key.toml"));
  ASSERT_EQ(old.size(), 116U);
  const auto from_all = keys_of(run_well("config show every_key.toml")),
             from_few = keys_of(run_well("config show concepts.toml"));
  EXPECT_EQ(from_all, from_few);                     // defaults are what they were
  const std::map<std::string, std::string> kMoved = {// old name -> new
                                                     {"model.mae_decoder.width", "mae.decoder.width"},
                                                     {"model.mae_decoder.heads", "mae.decoder.heads"},
                                                     {"model.mae_decoder.depth", "mae.decoder.depth"}};
  for (const auto& [key, value] : old) {
    const std::string& name = kMoved.contains(key) ? kMoved.at(key) : key;
    ASSERT_TRUE(from_all.contains(name)) << name;
    EXPECT_EQ(from_all.at(name), value) << name;
  }
}

TEST_F(OldFiles, ManifestsOfBothFormsAreInOrder) {
  for (const auto& [manifest, options, records] :
       {std::tuple{"train.jsonl", "", 16}, {"test.json", "", 8}, {"train.concepts.json", " --concepts", 16}}) {
    run_well(std::string("data check --vocabulary vocab.txt --out check.json ") + manifest + options);
    const std::string check = read_file(folder_ / "check.json");
    const Json json = Json::parse(check);
    EXPECT_EQ(json.at("records"), records) << check;
    EXPECT_EQ(json.at("clean"), true) << check;
  }
}

TEST_F(OldFiles, ConceptsComeFromTheStore) {
  run_well("concepts store verify train.concepts.parts/pictures.emb");
  const Json store = Json::parse(run_well("concepts store show --json train.concepts.parts/pictures.emb"));
  EXPECT_EQ(store.at("records"), 16);
  EXPECT_EQ(store.at("type"), "float16");

  const Json expected = read_json("train.concepts.json"), identity = read_json("train.concepts.json.identity.json");
  const auto expect_same = [&](const std::string& file) {
    const Json got = read_json(file);
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].at("kwords"), expected[i].at("kwords"));
      for (std::size_t k = 0; k < 4; ++k) {
        EXPECT_NEAR(got[i].at("kword_scores")[k], expected[i].at("kword_scores")[k], kScoreTolerance);
      }
    }
    EXPECT_EQ(read_json(file + ".identity.json").at("weights"), identity.at("weights"));
    EXPECT_EQ(read_json(file + ".identity.json").at("vocabulary_sha256"), identity.at("vocabulary_sha256"));
  };
  run_well(
      "concepts assign train.jsonl --source vicha:source --store train.concepts.parts/pictures.emb "
      "--vocab train.concepts.parts/vocabulary.tsv --k 4 --out assigned.json --device cpu");
  expect_same("assigned.json");

  // The chain finds its parts done, but for what an earlier parser made of the captions: it says so, and parses anew.
  const std::string built = run_well(
      "concepts build --captions train.jsonl --out train.concepts.json --source vicha:source --k 4 --device cpu");
  EXPECT_NE(built.find("16 pictures embedded, 16 of them before"), std::string::npos) << built;
  EXPECT_NE(built.find("captions.jsonl: was made with"), std::string::npos) << built;
  EXPECT_NE(built.find("20 captions parsed, 0 of them before"), std::string::npos) << built;
  expect_same("train.concepts.json");

  // What a checkpoint keeps finds the same in the image itself.
  const std::string shown = run_well("concepts show images/red_ball_white.png --checkpoint run --json");
  EXPECT_EQ(Json::parse(shown.substr(shown.find("{\"image"))).at("kwords"), expected[0].at("kwords"));
}

}  // namespace
}  // namespace vicha
