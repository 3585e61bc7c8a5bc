// From images on disk to a trained, evaluated model, through the same calls as the command line.
#include "tasks/pretrain/pretrain.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "checkpoint/safetensors/safetensors.h"
#include "data/pipeline/loader.h"
#include "tasks/host/model_files.h"
#include "tasks/pretrain/colour_world_test.h"
#include "tasks/retrieval/retrieval.h"

namespace vicha {
namespace {

class PretrainRun : public ColourWorld {};

TEST_F(PretrainRun, LearnsColoursFarAboveChance) {
  PretrainRecipe r = recipe();
  r.training.length.max_steps = 300;
  r.training.checkpoint.every_steps = 300;
  const RunResult result = run(r, "colours");
  ASSERT_TRUE(result.finished);
  const LoadedModel loaded = load_trained(result.last_checkpoint, "cpu");
  DataOptions data = loaded.recipe->data;
  data.manifests = {(folder_ / "test.json").string()};
  const auto set = std::make_shared<const EvaluationSet>(load_manifests(data), loaded.tokenizer, data);
  const RetrievalResult found = evaluate_retrieval(*loaded.parts, set, {.k_test = 4, .batch_size = 8});
  EXPECT_DOUBLE_EQ(found.chance.image.r1, 12.5);
  EXPECT_GT(found.itc.image.r1, 60.0);
  EXPECT_GT(found.itc.text.r1, 60.0);
  EXPECT_GE(found.reranked.image.r5, found.itc.image.r1);
  EXPECT_EQ(found.ranking, "matching");
  EXPECT_EQ(found.reranked.image.r1, found.matching.image.r1);
  const RetrievalResult joint =
      evaluate_retrieval(*loaded.parts, set, {.k_test = 4, .ranking = Ranking::kJoint, .batch_size = 8});
  EXPECT_EQ(joint.reranked.text.r1, found.joint.text.r1);
  EXPECT_EQ(joint.matching.text.r1, found.matching.text.r1);
  ASSERT_FALSE(found.text_queries.empty());
  EXPECT_EQ(found.text_queries[0].query, "a red picture");
}

TEST_F(PretrainRun, ImagesThatDoNotFitInMemoryAreReadAgain) {
  const LoadedModel loaded = load_trained(run(recipe(), "short").last_checkpoint, "cpu");
  DataOptions data = loaded.recipe->data;
  data.manifests = {(folder_ / "train.json").string()};
  const auto set = std::make_shared<const EvaluationSet>(load_manifests(data), loaded.tokenizer, data);
  RetrievalOptions how{.k_test = 4, .batch_size = 7};
  RetrievalResult kept = evaluate_retrieval(*loaded.parts, set, how);
  how.memory_mib = 0;
  RetrievalResult again = evaluate_retrieval(*loaded.parts, set, how);
  kept.seconds = again.seconds = 0;
  EXPECT_EQ(kept.to_json(), again.to_json());
}

TEST_F(PretrainRun, ResumedRunEndsWithTheSameBits) {
  PretrainRecipe whole = recipe();
  whole.eval.manifest = (folder_ / "test.json").string();
  const RunResult a = run(whole, "whole");
  run(whole, "parts");
  // As if the run had been killed after step 3: what came later is gone.
  fs::remove_all(folder_ / "parts" / "checkpoints" / a.last_checkpoint.filename());
  const RunResult b = run(whole, "parts");
  EXPECT_EQ(read_file(a.last_checkpoint / "model.safetensors"), read_file(b.last_checkpoint / "model.safetensors"));
  EXPECT_EQ(read_file(a.last_checkpoint / "optimizer.safetensors"),
            read_file(b.last_checkpoint / "optimizer.safetensors"));
  EXPECT_EQ(read_file(folder_ / "whole" / "evaluations.jsonl"), read_file(folder_ / "parts" / "evaluations.jsonl"));
}

TEST_F(PretrainRun, IsNotResumedUnderAnotherVocabulary) {
  PretrainRecipe r = recipe();
  r.training.length.max_steps = 3;
  run(r, "words");
  std::string words = read_file(folder_ / "vocab.txt");
  const std::size_t at = words.find("a\npicture\n");
  ASSERT_NE(at, std::string::npos);
  write_file_atomic(folder_ / "vocab.txt", words.replace(at, 10, "picture\na\n"));
  r.training.length.max_steps = 6;
  try {
    run(r, "words");
    FAIL() << "resumed with other words";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("vocab.txt"), std::string::npos) << error.what();
  }
}

TEST_F(PretrainRun, FrozenTextStaysAsItIs) {
  PretrainRecipe r = recipe();
  r.freeze = {"text"};
  r.init.text_projection = TextProjection::kWhiten;
  const RunResult result = run(r, "frozen");
  const StateDict first = read_safetensors(folder_ / "frozen" / "checkpoints" / "step-000003" / "model.safetensors");
  const StateDict last = read_safetensors(result.last_checkpoint / "model.safetensors");
  const std::string name = "bert.encoder.layer.0.output.dense.weight";
  EXPECT_TRUE(at::equal(first.at("text_encoder." + name), last.at("text_encoder." + name)));
  EXPECT_TRUE(at::equal(last.at("text_encoder." + name), last.at("text_encoder_m." + name)));
  EXPECT_FALSE(at::equal(first.at("visual_encoder.norm.weight"), last.at("visual_encoder.norm.weight")));
}

TEST_F(PretrainRun, FusionLearnsAtItsOwnRate) {
  PretrainRecipe r = recipe();
  r.fusion_lr_scale = 0.0;
  const RunResult result = run(r, "still");
  const StateDict first = read_safetensors(folder_ / "still" / "checkpoints" / "step-000003" / "model.safetensors");
  const StateDict last = read_safetensors(result.last_checkpoint / "model.safetensors");
  const auto layer = [](std::int64_t i) {
    return "text_encoder.bert.encoder.layer." + std::to_string(i) + ".output.dense.weight";
  };
  const std::string fusion = layer(r.model.text.text_layers), text = layer(0);
  EXPECT_TRUE(at::equal(first.at(fusion), last.at(fusion)));
  EXPECT_TRUE(at::equal(first.at("itm_head.weight"), last.at("itm_head.weight")));
  EXPECT_FALSE(at::equal(first.at(text), last.at(text)));
}

TEST_F(PretrainRun, LatePartsMayFollowACurveOfTheirOwn) {
  PretrainRecipe r = recipe();
  for (const char* late : {"itm", "mlm", "mae"}) r.objectives.at(late).start = 0.5;
  // Two steps before the end: no warm-up left on the run's curve, the start of the warm-up on the parts' own.
  r.training.schedule = {.kind = ScheduleKind::kStep, .warmup_lr = 0.0, .min_lr = 0.0, .warmup_share = 1.0};
  const std::int64_t steps = r.training.length.max_steps, half = (steps + 1) / 2;
  const auto at = [&](const std::string& name, std::int64_t step) {
    return read_safetensors(folder_ / name / "checkpoints" / fmt::format("step-{:06}", step) / "model.safetensors");
  };
  for (const std::string curve : {"run", "own"}) {
    r.training.schedule.late_parts = *value_named(kLatePartsNames, curve);
    r.training.checkpoint.every_steps = 1;
    r.training.checkpoint.keep = 0;
    run(r, curve);
    const StateDict before = at(curve, half), after = at(curve, half + 1);
    for (const char* part :
         {"itm_head.weight", "text_encoder.cls.predictions.transform.dense.weight", "decoder_norm.weight"}) {
      // The first step of the parts' own warm-up has a rate of 0.
      EXPECT_EQ(at::equal(before.at(part), after.at(part)), curve == "own") << curve << " " << part;
    }
    EXPECT_FALSE(at::equal(before.at("visual_encoder.norm.weight"), after.at("visual_encoder.norm.weight"))) << curve;
  }
  r.training.schedule.kind = ScheduleKind::kReleased;
  EXPECT_THROW(r.finish(), UsageError);
}

TEST_F(PretrainRun, ObjectivesSetInWhenTheRecipeSays) {
  PretrainRecipe r = recipe();
  for (const char* late : {"itm", "mae"}) r.objectives.at(late).start = 0.5;
  run(r, "late");
  const std::string metrics = read_file(folder_ / "late" / "metrics.jsonl");
  const std::string first = metrics.substr(0, metrics.find('\n')),
                    last = metrics.substr(metrics.rfind('\n', metrics.size() - 2) + 1);
  EXPECT_EQ(first.find("\"itm\""), std::string::npos);
  EXPECT_EQ(first.find("\"mae\""), std::string::npos);
  EXPECT_NE(last.find("\"itm\""), std::string::npos);
  EXPECT_NE(last.find("\"mae\""), std::string::npos);
}

TEST_F(PretrainRun, StartsFromACheckpointOfAnotherImageSize) {
  const RunResult small = run(recipe(), "small");
  PretrainRecipe r = recipe();
  r.model.vit.image_res = 32;
  r.init.checkpoint = small.last_checkpoint.string();
  r.training.length.max_steps = 1;
  EXPECT_TRUE(run(r, "larger").finished);
  PretrainRecipe other = recipe();
  other.model.vit.width = 48;
  other.init.checkpoint = small.last_checkpoint.string();
  EXPECT_THROW(run(other, "other"), DataError);
  StateDict odd = read_safetensors(small.last_checkpoint / "model.safetensors");
  odd.set("visual_encoder.pos_embed", at::zeros({1, 12, r.model.vit.width}));
  r.init.checkpoint = (folder_ / "odd.safetensors").string();
  write_safetensors(r.init.checkpoint, odd);
  try {
    run(r, "odd");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with(r.init.checkpoint + ": tensor 'visual_encoder.pos_embed' has 12"))
        << error.what();
  }
}

TEST_F(PretrainRun, AModelWithConceptsGoesOnFromOneWithout) {
  PretrainRecipe without = recipe();
  without.model.concepts.enabled = without.data.concepts.enabled = false;
  const RunResult first = run(without, "first");
  const StateDict kept = read_safetensors(first.last_checkpoint / "model.safetensors");
  PretrainRecipe with = recipe();
  with.init.checkpoint = (folder_ / "first").string();  // the run: its last checkpoint
  with.finish();
  TaskModel model(with.model, with.objectives, 7);
  initialise_model(model, with.init);
  const ParameterStore& store = model.vicha().parameters();
  StateDict now;
  for (const auto& r : store.released()) now.set(r.name, store.view(r));
  const std::string layer = "layer.0.output.dense.weight", words = "word_embeddings.weight";
  EXPECT_TRUE(at::equal(now.at("kw_encoder.encoder." + layer), kept.at("text_encoder.bert.encoder." + layer)));
  EXPECT_TRUE(at::equal(now.at("kw_encoder.embeddings." + words), kept.at("text_encoder.bert.embeddings." + words)));
  EXPECT_TRUE(at::equal(now.at("kw_encoder_m.encoder." + layer), now.at("kw_encoder.encoder." + layer)));
  EXPECT_TRUE(at::equal(now.at("kw_proj_m.weight"), now.at("kw_proj.weight")));
  // What the file has it keeps: copies that lag behind.
  EXPECT_TRUE(at::equal(now.at("visual_encoder_m.norm.weight"), kept.at("visual_encoder_m.norm.weight")));
  EXPECT_FALSE(at::equal(now.at("visual_encoder_m.norm.weight"), now.at("visual_encoder.norm.weight")));
  EXPECT_TRUE(run(with, "second").finished);

  with.init.text_projection = TextProjection::kWhiten;
  EXPECT_THROW(with.finish(), UsageError);
}

TEST_F(PretrainRun, BadInputIsNamed) {
  const auto message = [&](const PretrainRecipe& r) -> std::string {
    try {
      run(r, "bad");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  PretrainRecipe no_vocabulary = recipe();
  no_vocabulary.init.vocabulary = "";
  EXPECT_NE(message(no_vocabulary).find("init.vocabulary"), std::string::npos);
  PretrainRecipe other_vocabulary = recipe();
  other_vocabulary.model.text.vocabulary = 17;
  EXPECT_NE(message(other_vocabulary).find("vocab.txt"), std::string::npos);
  PretrainRecipe unknown_part = recipe();
  unknown_part.freeze = {"texts"};
  EXPECT_NE(message(unknown_part).find("texts"), std::string::npos);
  PretrainRecipe mismatch = recipe();
  mismatch.data.transform.image_res = 48;
  EXPECT_NE(message(mismatch).find("model.vit.image_res"), std::string::npos);
  EXPECT_THROW(load_trained(folder_ / "nowhere", "cpu"), DataError);
}

}  // namespace
}  // namespace vicha
