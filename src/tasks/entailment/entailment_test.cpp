// Entailment from drawn pictures and sentences about their colours: trained, resumed, evaluated, calibrated and asked,
// through the same calls as the command line.
#include "tasks/entailment/entailment.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "checkpoint/safetensors/safetensors.h"
#include "data/pipeline/loader.h"
#include "distributed/thread_group_test_support.h"
#include "tasks/concepts/vicha_source.h"
#include "tasks/downstream/classification.h"
#include "tasks/downstream/concept_padding.h"
#include "tasks/downstream/questions.h"
#include "tasks/downstream/task_world_test.h"
#include "train/checkpoint_folder.h"

namespace vicha {
namespace {

using EntailmentJson = nlohmann::ordered_json;

const std::vector<std::string> kAnswers = {"contradiction", "neutral", "entailment"};

class Entailment : public TaskWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    write_sentences("sentences.json", 32);
  }

  /// Each picture with a sentence of another colour, of no colour or of its own.
  void write_sentences(const std::string& name, std::size_t count) const {
    std::string rows;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t answer = i % 3;
      const std::string &colour = kColours[i % 8].first, &other = kColours[(i + 1 + i / 8) % 8].first;
      const std::string sentence = answer == 0   ? "A " + other + " picture."
                                   : answer == 1 ? std::string("a thing")
                                                 : "a " + colour + " picture";
      rows += EntailmentJson{{"image", fmt::format("images/{}{}.png", colour, i / 8)},
                             {"sentence", sentence},
                             {"label", kAnswers[answer]},
                             {"type", answer == 1 ? "open" : "colour"},
                             {"kwords", {"thing", "a thing"}}}
                  .dump() +
              "\n";
    }
    write_file_atomic(folder_ / name, rows);
  }

  EntailmentRecipe entailment(const std::string& manifest = "sentences.json") const {
    return small<EntailmentRecipe>(manifest);
  }
  EntailmentJson evaluate(const fs::path& checkpoint, const std::string& manifest,
                          const std::vector<std::string>& settings = {}) const {
    return evaluate_task("entailment", checkpoint, manifest, settings);
  }
};

TEST_F(Entailment, WorksWithJointFusion) {
  EntailmentRecipe r = entailment();
  make_joint(r.model);
  r.eval.manifest = (folder_ / "sentences.json").string();
  ASSERT_TRUE(train(r, "joint").finished);
  EXPECT_EQ(evaluate(folder_ / "joint", "sentences.json").at("records"), 32);
  LoadedModel loaded = load_trained(folder_ / "joint", "cpu");
  const Predictor predict = find_task_kind("entailment")->predict(loaded, {.checkpoint = folder_ / "joint"});
  const EntailmentJson question = {
      {"image", (folder_ / "images/red0.png").string()}, {"sentence", "a red picture"}, {"concepts", {"thing"}}};
  EXPECT_TRUE(EntailmentJson::parse(predict({question.dump(), folder_ / "why.png"})).contains("probabilities"));
  EXPECT_TRUE(fs::exists(folder_ / "why.png"));
}

TEST_F(Entailment, RefusesConceptsThatTheModelDoesNotRead) {
  EntailmentRecipe r = entailment();
  r.model.concepts.enabled = r.data.concepts.enabled = false;
  r.training.length.max_steps = 1;
  train(r, "without");
  LoadedModel loaded = load_trained(folder_ / "without", "cpu");
  const Predictor predict = find_task_kind("entailment")->predict(loaded, {.checkpoint = folder_ / "without"});
  EntailmentJson question = {{"image", (folder_ / "images/red0.png").string()}, {"sentence", "a red picture"}};
  const EntailmentJson answer = EntailmentJson::parse(predict({question.dump()}));
  EXPECT_TRUE(answer.at("concepts").is_null());
  predict({answer.dump()});  // an answer may be asked again
  question["concepts"] = {"thing"};
  try {
    predict({question.dump()});
    ADD_FAILURE() << "answered";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("gives \"concepts\", and the model reads none"), std::string::npos);
  }
}

TEST_F(Entailment, LeavesAModelWhoseContrastIsNotAskedForVectors) {
  EntailmentRecipe r = entailment();
  r.training.length.max_steps = 1;
  train(r, "short");
  try {
    open_vicha_source(folder_ / "short", "cpu");
    ADD_FAILURE() << "taken";
  } catch (const DataError& error) {
    const std::string said = error.what();
    EXPECT_NE(said.find("is a model of the task 'entailment', which trains no contrast"), std::string::npos) << said;
    EXPECT_NE(said.find("vicha finetune retrieval"), std::string::npos) << said;
  }
}

TEST_F(Entailment, LearnsThirtyTwoSamplesIsCalibratedAndAnswers) {
  EntailmentRecipe r = entailment();
  r.training.length.max_steps = 240;
  r.training.checkpoint.every_steps = 80;
  r.eval.manifest = (folder_ / "sentences.json").string();
  r.eval.questions.batch_size = 5;
  const RunResult result = train(r, "run");
  ASSERT_TRUE(result.finished);
  EXPECT_EQ(checkpoint_folder(folder_ / "run"), result.best_checkpoint);

  const EntailmentJson plain = evaluate(folder_ / "run", "sentences.json");
  EXPECT_GE(plain.at("accuracy").get<double>(), 95.0);
  EXPECT_EQ(plain.at("records"), 32);
  EXPECT_NEAR(plain.at("chance").get<double>(), 100.0 / 3, 1e-3);
  EXPECT_NEAR(plain.at("majority").get<double>(), 100.0 * 11 / 32, 1e-3);
  EXPECT_TRUE(plain.at("types").contains("colour") && plain.at("labels").contains("neutral"));
  EXPECT_TRUE(plain.at("calibration").is_null());
  std::int64_t sum = 0;
  for (const auto& row : plain.at("confusion")) {
    for (const auto& count : row) sum += count.get<std::int64_t>();
  }
  EXPECT_EQ(sum, 32);
  // Along the way the same was found.
  std::istringstream lines(read_file(folder_ / "run" / "evaluations.jsonl"));
  std::string line, best;
  while (std::getline(lines, line)) {
    if (checkpoint_path(folder_ / "run", EntailmentJson::parse(line).at("step")) == result.best_checkpoint) best = line;
  }
  EXPECT_EQ(EntailmentJson::parse(best).at("accuracy"), plain.at("accuracy"));

  const EntailmentJson fitted = evaluate(folder_ / "run", "sentences.json", {"calibrate=true"});
  EXPECT_LE(fitted.at("nll").get<double>(), plain.at("nll").get<double>());
  EXPECT_EQ(evaluate(folder_ / "run", "sentences.json").at("nll"), fitted.at("nll")) << "the file is read again";

  LoadedModel loaded = load_trained(folder_ / "run", "cpu");
  const Predictor predict = find_task_kind("entailment")->predict(loaded, {.checkpoint = folder_ / "run"});
  EntailmentJson question = {{"image", (folder_ / "images/red0.png").string()},
                             {"sentence", "a red picture"},
                             {"concepts", {"thing", "a thing"}}};
  const EntailmentJson answer = EntailmentJson::parse(predict({question.dump()}));
  EXPECT_EQ(answer.at("answer"), "entailment");
  EXPECT_EQ(answer.at("calibrated"), true);
  EXPECT_EQ(answer.at("concepts"), question.at("concepts"));
  double shares = 0;
  for (const auto& share : answer.at("probabilities")) shares += share.get<double>();
  EXPECT_NEAR(shares, 1.0, 1e-9);

  for (const char* blank : {"", " ", "...?", "-"}) {
    question["sentence"] = blank;
    EXPECT_TRUE(says(refused([&] { predict({question.dump()}); }), {"sentence", R"({"image": "FILE")"})) << blank;
  }
  question.erase("sentence");
  EXPECT_TRUE(says(refused([&] { predict({question.dump()}); }), {"sentence", R"({"image": "FILE")"}));
  EXPECT_TRUE(says(refused([&] { predict({"[1]"}); }), {"not a JSON object"}));
}

TEST_F(Entailment, ResumedRunEndsWithTheSameBits) {
  EntailmentRecipe r = entailment();
  r.eval.manifest = (folder_ / "sentences.json").string();
  const RunResult whole = train(r, "whole");
  train(r, "parts");
  fs::remove_all(folder_ / "parts" / "checkpoints" / whole.last_checkpoint.filename());
  const RunResult parts = train(r, "parts");
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "task.safetensors"}) {
    EXPECT_EQ(read_file(whole.last_checkpoint / file), read_file(parts.last_checkpoint / file)) << file;
  }
  EXPECT_EQ(read_file(folder_ / "whole/evaluations.jsonl"), read_file(folder_ / "parts/evaluations.jsonl"));
}

TEST_F(Entailment, ScoresDependNeitherOnBlocksNorOnRanks) {
  const LoadedModel loaded = load_trained(train(entailment(), "short").last_checkpoint, "cpu");
  const auto& model = dynamic_cast<const EntailmentModel&>(*loaded.parts);
  EvaluateCommand command{.checkpoint = folder_ / "short", .manifest = folder_ / "sentences.json", .image_root = ""};
  const auto set = load_questions(loaded, command, find_task_kind("entailment")->schema(*loaded.recipe)).set;
  EXPECT_EQ(set->image_count(), 32);
  const auto score = [&](const QuestionBatch& batch) {
    return model.net().logits(fuse_texts(loaded.vicha().online(), batch.text, batch.kv, FusedImages(batch.image),
                                         batch.image_of.front(), FusedRows::kCls, Dropout()));
  };
  const at::NoGradGuard guard;
  const at::Tensor one = score_questions(loaded.vicha(), set, {.batch_size = 1}, 3, score);
  const at::Tensor many = score_questions(loaded.vicha(), set, {.batch_size = 7}, 3, score);
  EXPECT_TRUE(one.allclose(many, 1e-4, 1e-5));
  for (const std::int64_t ranks : {3, 40}) {  // shares of unequal size, and more ranks than texts
    std::atomic<std::int64_t> shown = 0, whole = 0;
    const auto errors = run_ranks(ranks, [&](const Group& group) {
      const at::Tensor together = score_questions(
          loaded.vicha(), set, {.batch_size = 5}, 3,
          [&](const QuestionBatch& batch) {
            shown += static_cast<std::int64_t>(batch.texts.size());
            return score(batch);
          },
          "model", group);
      whole += one.allclose(together, 1e-4, 1e-5) ? 1 : 0;
    });
    EXPECT_EQ(errors, std::vector<std::string>(static_cast<std::size_t>(ranks)));
    EXPECT_EQ(whole.load(), ranks) << "every rank has all scores";
    EXPECT_EQ(shown.load(), 32) << "each text is scored once";
  }
  // What is wrong on one rank is said by all, and in the same words.
  const auto errors = run_ranks(3, [&](const Group& group) {
    score_questions(
        loaded.vicha(), set, {}, 3,
        [&](const QuestionBatch& batch) {
          at::Tensor scores = score(batch);
          if (batch.texts.front() <= 25 && batch.texts.back() >= 25) scores[25 - batch.texts.front()][1] = NAN;
          return scores;
        },
        "model", group);
  });
  for (const std::string& error : errors) EXPECT_TRUE(says(error, {"model", "sentences.json, record 25"}));
  // And the plain way, pair by pair.
  EvaluationImages pictures(set, set->image_count());
  const Batch batch = *pictures.next();
  std::vector<std::int64_t> texts(static_cast<std::size_t>(set->caption_count()));
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i] = static_cast<std::int64_t>(i);
  const at::Tensor plain = model.net().logits({batch.image, batch.concepts, set->captions(texts)}, Dropout());
  EXPECT_TRUE(one.allclose(plain, 1e-4, 1e-5));
}

TEST_F(Entailment, IsJudgedByAllRanksAlongTheWay) {
  EntailmentRecipe r = entailment();
  r.eval.manifest = (folder_ / "sentences.json").string();
  r.training.length.max_steps = 3;
  r.finish();
  const auto errors = run_ranks(2, [&](const Group& group) {
    train_task({r, folder_ / "two", ResumeChoice::parse("auto"), "cpu"}, group);
  });
  ASSERT_EQ(errors, std::vector<std::string>(2));
  const EntailmentJson along = EntailmentJson::parse(read_file(folder_ / "two" / "evaluations.jsonl"));
  const EntailmentJson alone = evaluate(folder_ / "two", "sentences.json");
  EXPECT_EQ(along.at("accuracy"), alone.at("accuracy"));
  EXPECT_NEAR(along.at("nll").get<double>(), alone.at("nll").get<double>(), 2e-4);  // rounded to four decimals
}

/// Padding of concepts is attended to: a set with longer lists than its neighbours', asked about record by record.
TEST_F(Entailment, PredictsWhatEvaluationFinds) {
  std::string rows;
  for (std::size_t i = 0; i < 8; ++i) {
    EntailmentJson row = {{"image", fmt::format("images/{}0.png", kColours[i].first)},
                          {"sentence", "a " + kColours[(i + i % 2) % 8].first + " picture"},
                          {"label", kAnswers[i % 3]}};
    row["kwords"] = std::vector<std::string>(i % 4, "thing");
    rows += row.dump() + "\n";
  }
  write_file_atomic(folder_ / "few.json", rows);
  EntailmentRecipe r = entailment();
  r.data.concepts.max_tokens = 8;
  ASSERT_FALSE(r.model.concepts.mask_padding);
  const fs::path checkpoint = train(r, "run").last_checkpoint;
  EXPECT_EQ(EntailmentJson::parse(read_file(checkpoint / kConceptPaddingFile)).at("tokens"), 4)
      << "[CLS] thing thing thing";

  LoadedModel loaded = load_trained(checkpoint, "cpu");
  const auto& model = dynamic_cast<const EntailmentModel&>(*loaded.parts);
  const Predictor predict = find_task_kind("entailment")->predict(loaded, {.checkpoint = checkpoint});
  const auto asked = [&](const EntailmentJson& row) {
    const EntailmentJson question = {{"image", (folder_ / row.at("image")).string()},
                                     {"sentence", row.at("sentence")},
                                     {"concepts", row.at("kwords")}};
    std::vector<double> shares;
    const EntailmentJson answer = EntailmentJson::parse(predict({question.dump()}));
    for (const std::string& name : kAnswers) shares.push_back(answer.at("probabilities").at(name));
    return at::tensor(shares, at::kFloat);
  };
  const auto scored = [&](const std::string& manifest) {
    const EvaluateCommand command{.checkpoint = checkpoint, .manifest = folder_ / manifest, .image_root = ""};
    const auto set = load_questions(loaded, command, find_task_kind("entailment")->schema(*loaded.recipe)).set;
    return score_questions(loaded.vicha(), set, {.batch_size = 3}, 3,
                           [&](const QuestionBatch& batch) {
                             return model.net().logits(fuse_texts(loaded.vicha().online(), batch.text, batch.kv,
                                                                  FusedImages(batch.image), batch.image_of.front(),
                                                                  FusedRows::kCls, Dropout()));
                           })
        .softmax(1);
  };
  const at::NoGradGuard guard;
  std::istringstream lines(rows);
  std::string line, shortest;
  const at::Tensor found = scored("few.json");
  for (std::int64_t i = 0; std::getline(lines, line); ++i) {
    EXPECT_TRUE(found[i].allclose(asked(EntailmentJson::parse(line)), 1e-4, 1e-5)) << line;
    if (i % 4 <= 1) shortest += line + "\n";
  }
  // Nor does it matter what else the set holds.
  write_file_atomic(folder_ / "shortest.json", shortest);
  const at::Tensor alone = scored("shortest.json");
  for (const auto& [row, before] : {std::pair{0, 0}, {1, 1}, {2, 4}, {3, 5}})
    EXPECT_TRUE(alone[row].allclose(found[before], 1e-4, 1e-5)) << row;
  // The padding counts: with another one the answers are others.
  fs::remove(checkpoint / kConceptPaddingFile);
  EXPECT_FALSE(scored("shortest.json").allclose(alone, 1e-4, 1e-5)) << "as before it was kept: the longest of the set";
  write_file_atomic(checkpoint / kConceptPaddingFile, R"({"tokens": 0})");
  EXPECT_TRUE(says(refused([&] { scored("few.json"); }), {kConceptPaddingFile, "damaged"}));
}

TEST_F(Entailment, BadRecordsAreRefusedByPlaceAndRemedy) {
  const auto message = [&](const std::string& rows) {
    write_file_atomic(folder_ / "bad.json", rows);
    return refused([&] { train(entailment("bad.json"), "bad"); });
  };
  const std::string good = R"({"image": "images/red0.png", "sentence": "a thing", "label": "neutral", "kwords": []})";
  EXPECT_TRUE(
      says(message(good + "\n" + R"({"image": "images/red0.png", "sentence": "a", "label": "maybe", "kwords": []})"),
           {"bad.json, record 1", "\"label\"", "\"maybe\"", "\"contradiction\""}));
  EXPECT_TRUE(says(message(good + "\n" + R"({"image": "images/red0.png", "label": "neutral", "kwords": []})"),
                   {"bad.json, record 1", "\"sentence\" is missing"}));
  for (const char* blank : {"", "  ", "?!", "- / ...", "\\u00a0\\u2003"}) {
    const std::string record =
        fmt::format(R"({{"image": "images/red0.png", "sentence": "{}", "label": "neutral", "kwords": []}})", blank);
    EXPECT_TRUE(says(message(good + "\n" + record), {"bad.json, record 1", "\"sentence\" has no words"})) << blank;
  }
  EXPECT_TRUE(says(refused([&] { train(entailment("train.json"), "other"); }), {"train.json", "\"sentence\""}))
      << "of another task";
}

TEST_F(Entailment, RecordsWithoutLabelAreLeftOutAndCounted) {
  std::string rows = read_file(folder_ / "sentences.json");
  rows += R"({"image": "images/gone.png", "sentence": "a thing", "label": "-", "kwords": []})";
  write_file_atomic(folder_ / "open.json", rows);
  const RunResult result = train(entailment("open.json"), "run");
  const EntailmentJson found = evaluate(result.last_checkpoint, "open.json");
  EXPECT_EQ(found.at("records"), 32);
  EXPECT_EQ(found.at("left_out"), 1);
}

TEST_F(Entailment, StartsFromPretrainedAndFromReleasedNames) {
  PretrainRecipe pretrain = recipe();
  pretrain.training.length.max_steps = 3;
  const fs::path before = run(pretrain, "pretrained").last_checkpoint;
  EXPECT_TRUE(says(refused([&] { evaluate(before, "sentences.json"); }),
                   {"is a model of the task 'pretrain'", "vicha finetune entailment"}));
  const StateDict weights = read_safetensors(before / "model.safetensors");
  // As the released fine-tuned models are: no language model around the text encoder, no contrast; queues of another
  // size, and a head of two classes, which is another task's.
  StateDict released;
  for (const auto& [name, tensor] : weights) {
    const bool dropped = name.starts_with("temp") || name.starts_with("vision_proj") || name.starts_with("text_proj") ||
                         name.starts_with("itm_head") || name.find(".cls.") != std::string::npos;
    if (dropped) continue;
    std::string plain = name;
    if (const std::size_t at = plain.find(".bert."); at != std::string::npos) plain.erase(at, 5);
    released.set(plain, tensor);
  }
  released.set("image_queue", at::zeros({16, 8}));
  released.set("cls_head.2.weight", at::zeros({2, 32}));
  write_safetensors(folder_ / "released.safetensors", released);

  for (const std::string& start : {before.string(), (folder_ / "released.safetensors").string()}) {
    EntailmentRecipe r = entailment();
    r.init.checkpoint = start;
    const auto model = std::make_unique<EntailmentModel>(r, 3);
    initialise_model(*model, r.init);
    const ParameterStore& store = model->vicha().parameters();
    for (const ParameterStore::Released& one : store.released()) {
      if (one.name.starts_with("text_encoder.bert.") || one.name.starts_with("visual_encoder_m.") ||
          one.name.starts_with("kw_proj")) {
        EXPECT_TRUE(store.view(one).equal(weights.at(one.name))) << start << " " << one.name;
      }
    }
    EXPECT_TRUE(store.parameter("cls_head_m.2.weight").value.equal(store.parameter("cls_head.2.weight").value));
    EXPECT_EQ(store.parameter("cls_head.2.weight").value.size(0), 3);
    r.training.length.max_steps = 2;
    EXPECT_TRUE(train(r, start == before.string() ? "ours" : "theirs").finished);
  }
}

}  // namespace
}  // namespace vicha
