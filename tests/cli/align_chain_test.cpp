// Aligned models through the commands: from raw pictures, captions and two towers as they are downloaded to an
// evaluated model, to concepts by it and by the neighbours in its tower's features, and to a model that finds such
// concepts by itself.
#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "commands_test_support.h"
#include "tasks/align/align_world_test.h"

namespace vicha {
namespace {

class AlignChain : public ThingWorld<AlignWorld> {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    name_things([](Json& record, std::int64_t number) { record["series"] = number / 8; });
    write_vit("vit");
    write_bert("bert");
    AlignRecipe r = align_recipe();
    r.features.image_tower = "vit:vit";
    r.features.text_tower = "bert";
    r.data.manifests = {"train.json"};
    r.eval.manifest = "test.json";
    write_file_atomic(folder_ / "align.toml", to_toml(r));
    write_recipe();
  }

  /// Share of the records whose first concept is the thing that its caption names.
  double right(const std::string& name) const {
    double hits = 0;
    const std::vector<Json> all = records(name);
    for (const Json& record : all) {
      const std::string caption = record.at("caption").get<std::string>();
      hits += !record.at("kwords").empty() && caption.ends_with(" " + record.at("kwords").front().get<std::string>());
    }
    return hits / static_cast<double>(all.size());
  }
  /// Begins `align` into `out` and kills it once a checkpoint is there.
  void align_and_kill(const std::string& out) const {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      if (::chdir(folder_.c_str()) != 0) ::_exit(1);
      ::setenv("OMP_NUM_THREADS", "2", 1);
      const std::string null = "/dev/null";
      if (std::freopen(null.c_str(), "w", stderr) == nullptr) ::_exit(1);
      ::execl(VICHA_PROGRAM, "vicha", "--matmul", "blas", "align", "align.toml", "--out", out.c_str(), "--device",
              "cpu", static_cast<char*>(nullptr));
      ::_exit(1);
    }
    for (int i = 0; i < 1200 && !fs::exists(folder_ / out / "checkpoints/step-000030/state.json"); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
  }
};

TEST_F(AlignChain, FromRawPicturesToAnEvaluatedModel) {
  const std::string trained = run_well("--matmul blas align align.toml --out run --device cpu");
  EXPECT_TRUE(says(trained, "48 pairs of 48 pictures and 8 different captions"));
  EXPECT_TRUE(says(trained, "best checkpoint run/checkpoints/step-"));
  EXPECT_TRUE(says(run_well("align align.toml --out run --device cpu"), "finished at step 90"));

  const std::string table = run_well("eval retrieval run test.json --out run/eval.json --device cpu");
  EXPECT_TRUE(says(table, "contrast alone"));
  const Json result = json("run/eval.json");
  EXPECT_GT(result.at("text_to_image").at("r1").get<double>(), 60.0);
  EXPECT_FALSE(result.contains("matching"));
  EXPECT_TRUE(says(run_well("eval compare run"), "run"));
  run_well("report run --out page.html");
  const std::string page = read_file(folder_ / "page.html");
  EXPECT_TRUE(page.find("Tower of pictures") != std::string::npos && page.find("vit:vit") != std::string::npos);
  EXPECT_EQ(page.find("Masked pictures"), std::string::npos);
  EXPECT_EQ(page.find("queue of"), std::string::npos) << "it has no such model";
  EXPECT_TRUE(
      says(refused("eval retrieval run test.json --k-test 8", 2), "--k-test 8: an aligned model has no matching"));
  EXPECT_TRUE(says(refused("eval retrieval run missing.json", 3), "missing.json"));

  align_and_kill("killed");
  run_well("--matmul blas align align.toml --out killed --device cpu");
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "task.safetensors"}) {
    const std::string of = std::string("/checkpoints/step-000090/") + file;
    EXPECT_EQ(read_file(folder_ / ("killed" + of)), read_file(folder_ / ("run" + of))) << file;
  }
}

TEST_F(AlignChain, ConceptsByAnAlignedModelAndByNeighbours) {
  run_well("align align.toml --out run --device cpu");
  const std::string aligned = "--source aligned:run --device cpu ";
  run_well("concepts build --captions train.json --out train.concepts.json --k 1 " + aligned);
  EXPECT_GT(right("train.concepts.json"), 0.6);
  run_well("data filter train.json --out half.json --keep 50% " + aligned);
  EXPECT_EQ(records("half.json").size(), 24U);
  run_well("data nearest-captions train.json --out more.json --from test.json --k 1 " + aligned);
  EXPECT_TRUE(records("more.json").front().contains("additional_captions"));
  run_well("pretrain recipe.toml --out model --device cpu");
  const std::string by_source = run_well("eval retrieval model test.json --k-test 8 --device cpu --out by.json");
  EXPECT_TRUE(says(by_source, "concepts of 8 pictures"));
  EXPECT_TRUE(says(json("by.json").at("concepts"), "aligned run, step-"));

  // By neighbours: the store is made by the way, and another picture of the series is never asked.
  const std::string tower = "--source tower:pictures.emb --image-tower vit:vit --device cpu ";
  const std::string built = run_well(
      "concepts build --captions train.json --out train.concepts.json --k 2 --neighbours 3 --leave-out-group series " +
      tower);
  EXPECT_TRUE(says(built, "captions of 48 pictures noted"));
  EXPECT_GT(right("train.concepts.json"), 0.6);
  const std::string first = read_file(folder_ / "train.concepts.json");
  run_well(
      "concepts build --captions train.json --out train.concepts.json --k 2 --neighbours 3 --leave-out-group series " +
      tower);
  EXPECT_EQ(read_file(folder_ / "train.concepts.json"), first);
  run_well(
      "concepts assign test.json --captions train.json --vocab train.concepts.parts/vocabulary.tsv --out "
      "test.concepts.json --k 2 --neighbours 3 " +
      tower);
  EXPECT_GT(right("test.concepts.json"), 0.6);

  // A model that was trained on them finds those of pictures that nobody has seen.
  EXPECT_TRUE(says(refused("align recipe.toml --out other", 3), "is a recipe of the task 'pretrain', not 'align'"));
  run_well("pretrain recipe.toml --out near --device cpu");
  const std::string found = run_well("eval retrieval near test.json --k-test 8 --device cpu --out near.json");
  EXPECT_TRUE(says(found, "concepts of 8 pictures"));
  EXPECT_TRUE(says(json("near.json").at("concepts"), "words of 3 nearest pictures"));
  const std::string shown = run_well("concepts show images/red100.png --checkpoint near --json --device cpu 2>log.txt");
  const Json words = Json::parse(shown.substr(shown.find('{'))).at("kwords");
  const std::vector<Json> tests = records("test.concepts.json");
  EXPECT_EQ(words, tests.front().at("kwords")) << tests.front();

  fs::rename(folder_ / "pictures.emb", folder_ / "moved.emb");
  EXPECT_TRUE(
      says(refused("concepts show images/red100.png --checkpoint near --json", 3), "--concept-source tower:STORE"));
  run_well("eval retrieval near test.json --k-test 8 --device cpu --concept-source tower:moved.emb");

  // Such a model is indexed too; its pictures' words come from the same neighbours.
  EXPECT_TRUE(says(refused("index nowhere --model near --out near-index --device cpu", 3), "nowhere: does not exist"));
  EXPECT_TRUE(says(refused("index images --model near --out near-index --device cpu", 3),
                   "Say where it is now (--concept-source tower:STORE)"));
  const std::string moved = " --device cpu --concept-source tower:moved.emb";
  run_well("index images --model near --out near-index" + moved);
  EXPECT_TRUE(says(run_well("index images --model near --out near-index" + moved), "nothing has changed"));
  EXPECT_TRUE(says(run_well("search near-index red --k 3 --json --min-probability 0" + moved), ".png"));
  EXPECT_TRUE(says(refused("concepts embed train.json --out x.emb --source tower:moved.emb", 2),
                   "knows pictures and no words"));
  EXPECT_TRUE(
      says(refused("concepts build --captions train.json --out x.json --source tower:none.emb", 3), "vicha embed"));
}

}  // namespace
}  // namespace vicha
