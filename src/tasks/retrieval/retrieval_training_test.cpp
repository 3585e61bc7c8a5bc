// Fine-tuning for retrieval, and ranking of raw input, through the same calls as the command line.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "checkpoint/safetensors/safetensors.h"
#include "objectives/itc.h"
#include "tasks/host/model_files.h"
#include "tasks/pretrain/colour_world_test.h"
#include "tasks/retrieval/retrieval.h"
#include "tasks/retrieval/retrieval_recipe.h"

namespace vicha {
namespace {

using RankedJson = nlohmann::ordered_json;

class RetrievalRun : public ColourWorld {
 protected:
  RetrievalRecipe retrieval() const {
    const PretrainRecipe pretrain = recipe();
    RetrievalRecipe r;
    r.model = pretrain.model;
    r.init = pretrain.init;
    r.data = pretrain.data;
    r.data.concepts.random_share = 0;
    r.training = pretrain.training;
    return r;
  }
  RunResult tune(RetrievalRecipe r, const std::string& out) const {
    r.finish();
    return train_task({r, folder_ / out, ResumeChoice::parse("auto"), "cpu"});
  }
};

/// From a pretraining's checkpoint, whose temperature, queues and matching head go on; to the same bits when resumed.
TEST_F(RetrievalRun, GoesOnFromPretrainingAndResumes) {
  const RunResult pretrained = run(recipe(), "pretrain");
  RetrievalRecipe r = retrieval();
  r.init.checkpoint = pretrained.last_checkpoint.string();
  r.eval.manifest = (folder_ / "test.json").string();
  r.eval.k_test = 4;
  const RunResult whole = tune(r, "whole");
  tune(r, "parts");
  fs::remove_all(folder_ / "parts" / "checkpoints" / whole.last_checkpoint.filename());
  const RunResult parts = tune(r, "parts");
  EXPECT_EQ(read_file(whole.last_checkpoint / "model.safetensors"),
            read_file(parts.last_checkpoint / "model.safetensors"));
  EXPECT_EQ(read_file(folder_ / "whole" / "evaluations.jsonl"), read_file(folder_ / "parts" / "evaluations.jsonl"));
  const StateDict tuned = read_safetensors(whole.last_checkpoint / "model.safetensors");
  EXPECT_TRUE(tuned.contains("idx_queue"));
  EXPECT_FALSE(tuned.contains("mask_token"));
  const std::string metrics = read_file(folder_ / "whole" / "metrics.jsonl");
  EXPECT_NE(metrics.find("\"itm\""), std::string::npos);
  EXPECT_EQ(metrics.find("\"mlm\""), std::string::npos);
  EXPECT_EQ(metrics.find("\"hitc\""), std::string::npos);
}

TEST_F(RetrievalRun, WorksWithJointFusion) {
  PretrainRecipe pretrain = recipe();
  RetrievalRecipe r = retrieval();
  for (ModelOptions* model : {&pretrain.model, &r.model}) {
    model->fusion.kind = FusionKind::kJoint;
    model->regions.rows = model->regions.columns = 2;
  }
  r.init.checkpoint = run(pretrain, "pretrain").last_checkpoint.string();
  r.eval.manifest = (folder_ / "test.json").string();
  r.eval.k_test = 4;
  ASSERT_TRUE(tune(r, "joint").finished);
  EXPECT_NE(read_file(folder_ / "joint" / "evaluations.jsonl").find("\"k_test\""), std::string::npos);
}

TEST_F(RetrievalRun, RanksTextsAndPictures) {
  RetrievalRecipe r = retrieval();
  r.training.length.max_steps = 300;
  r.training.checkpoint.every_steps = 300;
  r.objectives.get<ItcOptions>().positives = Positives::kCaption;  // pictures of a colour are all alike here
  const RunResult result = tune(r, "run");
  LoadedModel loaded = load_trained(result.last_checkpoint, "cpu");
  const TaskKind& kind = *find_task_kind("retrieval");
  const Predictor rank = kind.predict(
      loaded, {.checkpoint = result.last_checkpoint, .device = "cpu", .concepts = {.from = ConceptsFrom::kNone}});
  const auto picture = [&](const char* colour) {
    return (folder_ / "images" / (std::string(colour) + "100.png")).string();
  };

  const RankedJson of_picture = RankedJson::parse(
      rank({RankedJson{{"image", picture("blue")}, {"texts", {"a red picture", "a blue picture", "a thing"}}}.dump()}));
  const RankedJson& texts = of_picture.at("ranking");
  ASSERT_EQ(texts.size(), 3U);
  EXPECT_EQ(texts[0].at("text"), "a blue picture");
  double sum = 0;
  for (const RankedJson& entry : texts) {
    sum += entry.at("probability").get<double>();
    EXPECT_GE(entry.at("match").get<double>(), 0.0);
    EXPECT_LE(entry.at("probability").get<double>(), texts[0].at("probability").get<double>());
  }
  EXPECT_NEAR(sum, 1.0, 1e-5);
  try {
    rank({RankedJson{{"image", picture("blue")}, {"texts", {"a", "b"}}, {"concepts", {"thing"}}}.dump()});
    ADD_FAILURE() << "concepts that nobody reads";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("gives \"concepts\""), std::string::npos) << error.what();
  }

  const RankedJson of_text = RankedJson::parse(
      rank({RankedJson{{"text", "a red picture"}, {"images", {picture("blue"), picture("red")}}}.dump()}));
  EXPECT_EQ(of_text.at("ranking")[0].at("image"), picture("red"));

  for (const char* wrong : {"{}", "[]", R"({"image": "a.png", "texts": []})", R"({"image": "a.png", "texts": "a"})",
                            R"({"image": "a.png", "texts": ["a"], "text": "a", "images": ["b.png"]})"}) {
    EXPECT_THROW(rank({wrong}), DataError) << wrong;
  }
}

TEST_F(RetrievalRun, HasTheMethodsObjectivesAndRefusesATeacher) {
  RetrievalRecipe r;
  EXPECT_TRUE(r.objectives.at("itc").enabled && r.objectives.at("itm").enabled);
  EXPECT_FALSE(r.objectives.at("hitc").enabled || r.objectives.at("mlm").enabled || r.objectives.at("mae").enabled);
  EXPECT_EQ(r.objectives.get<ItcOptions>().positives, Positives::kImageId);
  EXPECT_FALSE(r.objectives.clamp_temperature);
  r = retrieval();
  r.objectives.at("teach").enabled = true;
  EXPECT_THROW(r.finish(), UsageError);
}

}  // namespace
}  // namespace vicha
