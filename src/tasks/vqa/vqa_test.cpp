// Questions about drawn pictures: trained, resumed, evaluated, calibrated and asked, through the same calls as the
// command line.
#include "tasks/vqa/vqa.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "checkpoint/safetensors/safetensors.h"
#include "distributed/thread_group_test_support.h"
#include "tasks/downstream/task_world_test.h"
#include "tasks/vqa/vqa_answers.h"

namespace vicha {
namespace {

using VqaJson = nlohmann::ordered_json;

class Vqa : public TaskWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    write_file_atomic(folder_ / "vocab.txt", read_file(folder_ / "vocab.txt") + "what\nis\nyes\nno\n");
    write_questions("questions.json", 32);
  }

  /// In turn: what a picture shows, answered in two words by most and in one by the others; and whether it is of a
  /// colour, answered with one voice.
  void write_questions(const std::string& name, std::size_t count, bool with_answers = true) const {
    std::string rows;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string &colour = kColours[i % 8].first, &other = kColours[(i + 3) % 8].first;
      const bool what = i % 2 == 0, yes = i % 4 == 1;
      std::vector<std::string> answers(10, what ? colour + " thing" : yes ? "yes" : "no");
      if (what) std::fill(answers.begin() + 7, answers.end(), colour);
      VqaJson row = {{"question_id", 1000 + i},
                     {"image", fmt::format("images/{}{}.png", colour, i / 8)},
                     {"question", what ? "What is a picture?" : "Is a picture " + (yes ? colour : other) + "?"},
                     {"question_type", what ? "what is" : "is a"},
                     {"answer_type", what ? "other" : "yes/no"},
                     {"dataset", "vqa"},
                     {"kwords", {"thing", "a thing"}}};
      if (with_answers) row["answer"] = answers;
      rows += row.dump() + "\n";
    }
    write_file_atomic(folder_ / name, rows);
  }

  VqaRecipe vqa(const std::string& manifest = "questions.json") const {
    auto r = small<VqaRecipe>(manifest);
    r.model.text.vocabulary = 20;
    r.data.max_tokens = 10;
    return r;
  }
  VqaJson evaluate(const fs::path& checkpoint, const std::string& manifest,
                   const std::vector<std::string>& settings = {}) const {
    return evaluate_task("vqa", checkpoint, manifest, settings);
  }
};

TEST_F(Vqa, LearnsThirtyTwoSamplesAndAnswers) {
  VqaRecipe r = vqa();
  r.training.length.max_steps = 300;
  r.training.checkpoint.every_steps = 100;
  r.eval.manifest = (folder_ / "questions.json").string();
  r.eval.questions.batch_size = 5;
  const RunResult result = train(r, "run");
  ASSERT_TRUE(result.finished);
  EXPECT_TRUE(fs::exists(result.last_checkpoint / kAnswerListFile));

  const VqaJson ranked = evaluate(folder_ / "run", "questions.json");
  EXPECT_GE(ranked.at("accuracy").get<double>(), 95.0);
  EXPECT_EQ(ranked.at("records"), 32);
  EXPECT_EQ(ranked.at("list"), 10);  // four colours, each in one word and in two, yes and no
  EXPECT_EQ(ranked.at("not_in_list"), 0.0);
  EXPECT_TRUE(ranked.at("question_types").contains("what is") && ranked.at("answer_types").contains("yes/no"));
  EXPECT_LT(ranked.at("majority").get<double>(), 60.0);
  const VqaJson own = evaluate(folder_ / "run", "questions.json", {"answers=generated"});
  EXPECT_GE(own.at("accuracy").get<double>(), 95.0);
  EXPECT_EQ(own.at("answers"), "generated");

  const VqaJson fitted = evaluate(folder_ / "run", "questions.json", {"calibrate=true"});
  EXPECT_LE(fitted.at("nll").get<double>(), ranked.at("nll").get<double>());

  LoadedModel loaded = load_trained(folder_ / "run", "cpu");
  const Predictor predict = find_task_kind("vqa")->predict(loaded, {.checkpoint = folder_ / "run"});
  VqaJson question = {{"image", (folder_ / "images/red0.png").string()},
                      {"question", "What is a picture?"},
                      {"concepts", {"thing", "a thing"}},
                      {"generate", true}};
  const VqaJson answer = VqaJson::parse(predict({question.dump()}));
  EXPECT_EQ(answer.at("answer"), "red thing");
  EXPECT_EQ(answer.at("answers").size(), 5U);
  EXPECT_EQ(answer.at("answers")[0].at("probability"), answer.at("probability"));
  EXPECT_EQ(answer.at("generated").at("answer"), "red thing");
  EXPECT_EQ(answer.at("calibrated"), true);
  const fs::path png = folder_ / "why.png";
  EXPECT_EQ(VqaJson::parse(predict({question.dump(), png})).at("explanation"), png.string());
  EXPECT_TRUE(read_file(png).starts_with("\x89PNG"));
  question["generate"] = 1;
  EXPECT_TRUE(says(refused([&] { predict({question.dump()}); }), {"generate"}));
}

/// From a joint pretraining: answers are read from the question's rows, maps are of regions.
TEST_F(Vqa, WorksFromAJointModel) {
  PretrainRecipe pretrain = recipe();
  pretrain.model.text.vocabulary = 20;
  pretrain.training.length.max_steps = 2;
  make_joint(pretrain.model);
  VqaRecipe r = vqa();
  make_joint(r.model);
  r.init.checkpoint = run(pretrain, "joint").last_checkpoint.string();
  ASSERT_TRUE(train(r, "run").finished);
  EXPECT_EQ(evaluate(folder_ / "run", "questions.json").at("records"), 32);
  LoadedModel loaded = load_trained(folder_ / "run", "cpu");
  const Predictor predict = find_task_kind("vqa")->predict(loaded, {.checkpoint = folder_ / "run"});
  const VqaJson question = {
      {"image", (folder_ / "images/red0.png").string()}, {"question", "What is a picture?"}, {"concepts", {"thing"}}};
  EXPECT_TRUE(VqaJson::parse(predict({question.dump(), folder_ / "why.png"})).contains("explanation"));

  // Answers and regions are compared where the model has the maps.
  r.model.fusion.similarity = r.vqa.similarity = true;
  r.training.length.max_steps = 3;
  ASSERT_TRUE(train(r, "similarity").finished);
  EXPECT_EQ(evaluate(folder_ / "similarity", "questions.json").at("records"), 32);

  VqaRecipe cross = vqa();
  cross.init.checkpoint = r.init.checkpoint;
  EXPECT_TRUE(says(refused([&] { train(cross, "cross"); }), {"model.fusion.kind = \"joint\"", "cross-attention"}));
}

TEST_F(Vqa, ResumedRunEndsWithTheSameBits) {
  VqaRecipe r = vqa();
  r.eval.manifest = (folder_ / "questions.json").string();
  const RunResult whole = train(r, "whole");
  train(r, "parts");
  fs::remove_all(folder_ / "parts" / "checkpoints" / whole.last_checkpoint.filename());
  const RunResult parts = train(r, "parts");
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "task.safetensors", kAnswerListFile}) {
    EXPECT_EQ(read_file(whole.last_checkpoint / file), read_file(parts.last_checkpoint / file)) << file;
  }
}

TEST_F(Vqa, AnswersDependNeitherOnBlocksNorOnTheWayQuestionsAreEncoded) {
  const LoadedModel loaded = load_trained(train(vqa(), "short").last_checkpoint, "cpu");
  const auto& model = dynamic_cast<const VqaModel&>(*loaded.parts);
  const EvaluateCommand command{
      .checkpoint = folder_ / "short", .manifest = folder_ / "questions.json", .image_root = ""};
  const auto set = load_questions(loaded, command, vqa_evaluation_schema()).set;
  const AnswerList list = AnswerList::of_checkpoint(checkpoint_folder(folder_ / "short"), *loaded.tokenizer, 12);
  const auto rank = [&](std::int64_t batch_size) {
    return rank_set(loaded.vicha(), model.net(), list, set, {.k_test = 7}, {.batch_size = batch_size}, "model");
  };
  const SetAnswers one = rank(1), many = rank(9);
  EXPECT_EQ(one.choices.sizes(), at::IntArrayRef({32, 7}));
  EXPECT_EQ(one.texts, many.texts);
  EXPECT_TRUE(one.log_probs.allclose(many.log_probs, 1e-4, 1e-5));
  std::atomic<int> equal = 0;
  EXPECT_EQ(run_ranks(3,
                      [&](const Group& group) {
                        const SetAnswers all = rank_set(loaded.vicha(), model.net(), list, set, {.k_test = 7},
                                                        {.batch_size = 4}, "model", group);
                        equal += all.texts == one.texts && all.choices.equal(one.choices) &&
                                 all.log_probs.allclose(one.log_probs, 1e-4, 1e-5);
                      }),
            std::vector<std::string>(3));
  EXPECT_EQ(equal.load(), 3) << "every rank has all answers";
  // And the plain way: the pairs of a batch together.
  EvaluationImages pictures(set, set->image_count());
  const Batch batch = *pictures.next();
  std::vector<std::int64_t> texts(static_cast<std::size_t>(set->caption_count()));
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i] = static_cast<std::int64_t>(i);
  const QuestionStates states = model.net().encode({batch.image, batch.concepts, set->captions(texts)}, Dropout());
  const auto plain = rank_answers(model.net().decoder(), states, list.paths(), {.k = 7});
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_NEAR(plain[i].log_probs[0], one.log_probs[static_cast<std::int64_t>(i)][0].item<double>(), 1e-4);
  }
}

/// Answers ranked by their texts' likeness to what the question looks at, too: an option that checkpoints keep.
TEST_F(Vqa, LikenessIsTrainedEvaluatedAndAsked) {
  VqaRecipe r = vqa();
  r.vqa.similarity = true;
  EXPECT_TRUE(says(refused([&] { train(r, "none"); }), {"vqa.similarity", "model.fusion.similarity"}));
  r.model.fusion.similarity = true;
  r.eval.manifest = (folder_ / "questions.json").string();
  const fs::path checkpoint = train(r, "run").last_checkpoint;
  EXPECT_NE(read_file(folder_ / "run" / "metrics.jsonl").find("\"likeness\""), std::string::npos);
  const VqaJson judged = evaluate(checkpoint, "questions.json");
  EXPECT_EQ(judged.at("records"), 32);

  LoadedModel loaded = load_trained(checkpoint, "cpu");
  {
    const at::NoGradGuard guard;
    at::Tensor scale = loaded.vicha().parameters().parameter("answer_scale.bias").value;
    scale.fill_(2.0);  // after six steps it is next to nothing
  }
  const auto& model = dynamic_cast<const VqaModel&>(*loaded.parts);
  const EvaluateCommand command{.checkpoint = checkpoint, .manifest = folder_ / "questions.json", .image_root = ""};
  const auto set = load_questions(loaded, command, vqa_evaluation_schema()).set;
  const AnswerList list = AnswerList::of_checkpoint(checkpoint, *loaded.tokenizer, 12);
  const SetAnswers all = rank_set(loaded.vicha(), model.net(), list, set, {.k_test = 6}, {.batch_size = 5}, "model");
  const Predictor predict = find_task_kind("vqa")->predict(loaded, {.checkpoint = checkpoint});
  for (const std::int64_t i : {0, 3}) {
    const VqaJson answer = VqaJson::parse(predict({VqaJson{
        {"image", std::string(set->image_path(set->images_of(i)[0]))},
        {"question", std::string(set->caption(i))},
        {"concepts", {"thing", "a thing"}}}.dump()}));
    EXPECT_EQ(answer.at("answer"), all.texts[static_cast<std::size_t>(i)]);
  }
  VqaRecipe again = r;
  again.init.checkpoint = checkpoint.string();
  again.training.length.max_steps = 1;
  EXPECT_TRUE(train(again, "again").finished);
  again.vqa.similarity = false;  // a model without it may start there
  EXPECT_TRUE(train(again, "plain").finished);
}

TEST_F(Vqa, NumbersThatAreNotFiniteNameTheQuestion) {
  const fs::path run = train(vqa(), "run").last_checkpoint;
  LoadedModel loaded = load_trained(run, "cpu");
  {
    // "blue", of which the fourth question is the first that has it.
    const at::NoGradGuard guard;
    loaded.vicha().parameters().parameter("text_encoder.bert.embeddings.word_embeddings.weight").value[10].fill_(NAN);
  }
  const EvaluateCommand command{.checkpoint = run, .manifest = folder_ / "questions.json", .image_root = ""};
  for (const char* answers : {"answers=ranked", "answers=generated"}) {
    EvaluateCommand asked = command;
    asked.settings = {answers};
    EXPECT_TRUE(says(refused([&] { find_task_kind("vqa")->evaluate(loaded, asked); }),
                     {run.string(), "Is a picture", "questions.json, record", "not finite"}))
        << answers;
  }
  const Predictor predict = find_task_kind("vqa")->predict(loaded, {.checkpoint = run});
  const VqaJson question = {
      {"image", (folder_ / "images/red0.png").string()}, {"question", "is a picture blue?"}, {"concepts", {"thing"}}};
  EXPECT_TRUE(says(refused([&] { predict({question.dump()}); }), {"is a picture blu", "not finite"}));
}

TEST_F(Vqa, SubmissionHoldsEveryQuestionOnce) {
  write_questions("blind.json", 5, false);
  write_file_atomic(folder_ / "blind.json", read_file(folder_ / "blind.json") + read_file(folder_ / "blind.json"));
  const fs::path run = train(vqa(), "run").last_checkpoint;
  const fs::path out = folder_ / "submission.json";
  EXPECT_TRUE(says(refused([&] { evaluate(run, "blind.json"); }), {"blind.json", "\"answer\"", "--submission"}));
  const VqaJson result = evaluate(run, "blind.json", {"submission=" + out.string()});
  EXPECT_FALSE(result.contains("accuracy"));
  EXPECT_EQ(result.at("without_answers"), 10);
  const VqaJson rows = VqaJson::parse(read_file(out));
  ASSERT_EQ(rows.size(), 5U);
  EXPECT_EQ(rows[4].at("question_id"), 1004);
  EXPECT_TRUE(rows[0].at("answer").is_string());
  write_file_atomic(folder_ / "nameless.json", R"({"image": "images/red0.png", "question": "what", "kwords": []})");
  EXPECT_TRUE(says(refused([&] { evaluate(run, "nameless.json", {"submission=" + out.string()}); }),
                   {"nameless.json, record 0", "question_id"}));
}

TEST_F(Vqa, ASubmissionNamesQuestionsThatShareAnId) {
  const auto row = [](const std::string& picture, const std::string& question) {
    return VqaJson{
        {"question_id", 7}, {"image", "images/" + picture}, {"question", question}, {"kwords", VqaJson::array()}}
        .dump();
  };
  const fs::path run = train(vqa(), "run").last_checkpoint, out = folder_ / "submission.json";
  write_file_atomic(folder_ / "same.jsonl", row("red0.png", "what") + "\n" + row("red0.png", "what") + "\n");
  LoadedModel loaded = load_trained(run, "cpu");
  const EvaluateResult once = find_task_kind("vqa")->evaluate(loaded, {.checkpoint = run,
                                                                       .manifest = folder_ / "same.jsonl",
                                                                       .image_root = "",
                                                                       .settings = {"submission=" + out.string()}});
  EXPECT_NE(once.table.find("answers to 1 questions"), std::string::npos) << once.table;
  for (const std::string& other : {row("red1.png", "what"), row("red0.png", "is")}) {
    write_file_atomic(folder_ / "two.jsonl", row("red0.png", "what") + "\n" + other + "\n");
    EXPECT_TRUE(says(refused([&] { evaluate(run, "two.jsonl", {"submission=" + out.string()}); }),
                     {"two.jsonl, record 1", "question_id 7", "two.jsonl, record 0"}));
  }
}

TEST_F(Vqa, ListsThatLackAnswersAreToldOf) {
  const auto with_list = [&](const std::string& text, const std::string& out) {
    write_file_atomic(folder_ / "list.json", text);
    VqaRecipe r = vqa();
    r.vqa.answers = (folder_ / "list.json").string();
    return train(r, out).last_checkpoint;
  };
  EXPECT_TRUE(says(refused([&] { with_list(R"(["picture", "what"])", "none"); }),
                   {"list.json", "none of the 320 answers", "vicha data answers"}));
  EXPECT_TRUE(says(refused([&] { with_list("[1]", "none"); }), {"list.json, answer 0"}));
  const VqaJson result = evaluate(with_list(R"(["yes", "no", "red"])", "few"), "questions.json");
  EXPECT_EQ(result.at("list"), 3);
  EXPECT_NEAR(result.at("not_in_list").get<double>(), 100.0 * 12 / 32, 1e-9);
  VqaRecipe often = vqa();
  often.vqa.min_count = 1000;
  EXPECT_TRUE(says(refused([&] { train(often, "often"); }), {"vqa.min_count"}));
}

TEST_F(Vqa, BadRecordsAreRefusedByPlaceAndRemedy) {
  const auto message = [&](const std::string& rows) {
    write_file_atomic(folder_ / "bad.json", rows);
    return refused([&] { train(vqa("bad.json"), "bad"); });
  };
  const std::string good = R"({"image": "images/red0.png", "question": "what", "answer": "red", "kwords": []})";
  EXPECT_TRUE(says(message(good + "\n" + R"({"image": "images/red0.png", "question": "what", "kwords": []})"),
                   {"bad.json, record 1", "\"answer\" is missing"}));
  EXPECT_TRUE(
      says(message(good + "\n" + R"({"image": "images/red0.png", "question": "what", "answer": [], "kwords": []})"),
           {"bad.json, record 1", "\"answer\"", "empty list"}));
  EXPECT_TRUE(says(
      message(
          good + "\n" +
          R"({"image": "images/red0.png", "question": "what", "kwords": [], "answer": "red red red red red red red red red red red"})"),
      {"bad.json, record 1", "13 tokens"}));
  EXPECT_TRUE(says(refused([&] { train(vqa("train.json"), "other"); }), {"train.json", "\"question\""}))
      << "of another task";
}

TEST_F(Vqa, DecoderStartsAsThePretrainedFusionLayers) {
  PretrainRecipe pretrain = recipe();
  pretrain.model.text.vocabulary = 20;
  pretrain.training.length.max_steps = 3;
  const fs::path before = run(pretrain, "pretrained").last_checkpoint;
  const StateDict weights = read_safetensors(before / "model.safetensors");
  VqaRecipe r = vqa();
  r.init.checkpoint = before.string();
  r.finish();
  VqaModel model(r, 3);
  initialise_model(model, r.init);
  const ParameterStore& store = model.vicha().parameters();
  std::int64_t compared = 0;
  for (const ParameterStore::Released& one : store.released()) {
    if (!is_answer_decoder(one.name)) continue;
    std::string source = one.name;
    source.replace(0, std::string("text_decoder").size(), "text_encoder");
    for (const char* layer : {"0.", "1."}) {  // fusion layers 2 and 3
      const std::string from = std::string(".layer.") + layer;
      if (const std::size_t at = source.find(from); at != std::string::npos) {
        source.replace(at, from.size(), from == ".layer.0." ? ".layer.2." : ".layer.3.");
        break;
      }
    }
    ASSERT_TRUE(weights.contains(source)) << source;
    EXPECT_TRUE(store.view(one).equal(weights.at(source))) << one.name;
    ++compared;
  }
  EXPECT_GT(compared, 80);
  EXPECT_FALSE(
      weights.at("text_encoder_m.cls.predictions.bias").equal(weights.at("text_encoder.cls.predictions.bias")));
  EXPECT_TRUE(train(r, "run").finished);
  // A run may begin from one that has a decoder.
  VqaRecipe again = vqa();
  again.init.checkpoint = (folder_ / "run").string();
  VqaModel next(again, 4);
  initialise_model(next, again.init);
  const StateDict trained = read_safetensors(checkpoint_folder(folder_ / "run") / "model.safetensors");
  const char* name = "text_decoder.cls.predictions.bias";
  EXPECT_TRUE(next.vicha().parameters().parameter(name).value.equal(trained.at(name)));
}

}  // namespace
}  // namespace vicha
