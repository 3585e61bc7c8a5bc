#include "tasks/vqa/vqa.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/file_guard.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/log.h"
#include "config/serialize.h"
#include "nn/precision.h"
#include "tasks/downstream/answer_calibration.h"
#include "tasks/downstream/downstream_training.h"
#include "tasks/downstream/explanation.h"
#include "tasks/downstream/network/attention_maps.h"
#include "tasks/downstream/predict_input.h"
#include "tasks/host/model_files.h"
#include "tasks/vqa/network/generate_answers.h"
#include "tasks/vqa/vqa_answers.h"
#include "tasks/vqa/vqa_training.h"
#include "train/device.h"

namespace vicha {
namespace {

constexpr std::size_t kShownAnswers = 5;

enum class AnswerSource { kRanked, kGenerated };
constexpr Choice<AnswerSource> kAnswerSourceNames[] = {{"ranked", AnswerSource::kRanked},
                                                       {"generated", AnswerSource::kGenerated}};

struct VqaCommandOptions : QuestionCommandOptions {
  AnswerSource answers = AnswerSource::kRanked;
  AnsweringOptions answering;
  std::string submission;

  void describe(Visitor& v) {
    QuestionCommandOptions::describe(v);
    v.choice({.key = "answers", .meaning = "Chosen from the model's list, or in the decoder's own words"}, answers,
             kAnswerSourceNames);
    answering.describe(v);
    v.field({"submission", "", "File to write the answers to, as the test server takes them"}, submission);
  }
};

VqaCommandOptions vqa_options(const LoadedModel& loaded, const EvaluateCommand& command) {
  VqaCommandOptions options;
  options.answering = dynamic_cast<const VqaRecipe&>(*loaded.recipe).vqa.answering;
  apply_overrides(options, loaded.recipe->evaluation_settings());
  apply_overrides(options, command.settings);
  if (options.calibrate && options.answers == AnswerSource::kGenerated) {
    throw UsageError("--calibrate fits the probabilities of ranked answers: leave answers=generated out");
  }
  return options;
}

EvaluateResult evaluate_vqa(LoadedModel& loaded, const EvaluateCommand& command) {
  const VqaCommandOptions options = vqa_options(loaded, command);
  std::optional<GuardedOutput> submission;  // before the work, so that it is not in vain
  if (!options.submission.empty()) submission.emplace(options.submission);
  const auto& model = dynamic_cast<const VqaModel&>(*loaded.parts);
  const fs::path checkpoint = checkpoint_folder(command.checkpoint);
  const AnswerList list =
      AnswerList::of_checkpoint(checkpoint, *loaded.tokenizer, loaded.recipe->model.text.max_positions);
  std::optional<AnswerCalibration> calibration = calibration_of(checkpoint);
  const LoadedQuestions questions = load_questions(loaded, command, vqa_evaluation_schema());
  const EvaluationSet& set = *questions.set;
  const auto& given = set.manifest().column<AnswersColumn>(kAnswersField);
  bool any = false;
  for (std::int64_t record = 0; record < set.manifest().size() && !any; ++record) any = given.has(record);
  if (!any && (options.submission.empty() || options.calibrate)) {
    throw DataError(command.manifest.string(), "has no record with the field \"answer\", so nothing can be judged",
                    "Give a set with answers, or --submission FILE to write the model's");
  }
  const std::size_t submitted = submission ? submitted_questions(set).size() : 0;  // before the work as well
  const Bf16Scope scope(use_bf16(command.precision, loaded.vicha().device()));
  const bool ranked = options.answers == AnswerSource::kRanked;
  const SetAnswers answers =
      ranked ? rank_set(loaded.vicha(), model.net(), list, questions.set, options.answering, options.questions,
                        checkpoint.string())
             : generate_set(loaded.vicha(), model.net(), list, loaded.tokenizer->vocabulary(), questions.set,
                            options.answering, options.questions, checkpoint.string());
  if (options.calibrate) {
    calibration =
        calibrate(checkpoint, answers.log_probs, right_choices(set, answers, list), command.manifest.string());
  }
  Judgement judged = judge_answers(set, answers, list, temperature_of(calibration));
  if (submission) {
    write_file_atomic(options.submission, submission_json(set, answers.texts));
    submission->done();
    judged.table += fmt::format("answers to {} questions: {}\n", submitted, options.submission);
  }
  judged.figures["answers"] = name_of(kAnswerSourceNames, options.answers);
  if (ranked) {
    judged.figures["list"] = list.size();
    judged.figures["k_test"] = answers.choices.size(1);
    judged.figures["rank"] = name_of(kAnswerRankNames, options.answering.rank);
    judged.figures["calibration"] = json_of(calibration);
  }
  return evaluate_result(judged, command, {checkpoint.string(), questions.concepts});
}

/// Whether the input asks for an answer in the decoder's own words, too.
bool wants_generated(const nlohmann::ordered_json& input) {
  const auto wish = input.find("generate");
  if (wish == input.end()) return false;
  if (!wish->is_boolean()) {
    throw DataError(json_text(input), "field \"generate\" is neither true nor false",
                    "Give true for an answer in the decoder's own words, or leave it out");
  }
  return wish->get<bool>();
}

/// What the answer was read from, by the gradient of its log-probability.
void explain_answer(const VqaModel& model, const PredictInput::Item& item, const PairStates& states,
                    std::span<const std::int64_t> answer_ids, const std::string& title,
                    const std::filesystem::path& file) {
  const Encoders& encoders = model.vicha().online();
  const ModelOptions& sizes = model.vicha().options();
  const GivenAnswers given{{at::tensor(answer_ids, at::kLong).unsqueeze(0), {std::ssize(answer_ids)}}, {0}, {}};
  const AnswerRows rows(given, states.lengths, model.vicha().device());
  const at::Tensor maps =
      word_maps(encoders, states.text, encoders.text.image_kv(states.image.fusion_rows()), FusedImages(states.image),
                {0}, FusedRows::kAll, usual_map_layer(sizes.text), [&](const at::Tensor& fused) {
                  const QuestionStates question{fused, states.lengths};
                  const at::Tensor logits = answer_logits(model.net().decoder(), question, rows, Dropout());
                  return -token_losses(logits, rows.targets, {}, 0.0).sum();
                });
  Explanation explanation;
  explanation.title = title;
  explanation.pictures.push_back(
      {item.pictures.front().file, maps_of_words(item.pieces, maps, map_grid(sizes)), /*boxes=*/{}});
  write_explanation(file, explanation);
}

class VqaPredictor {
 public:
  VqaPredictor(const LoadedModel& loaded, const PredictCommand& command)
      : model_(dynamic_cast<const VqaModel&>(*loaded.parts)),
        answering_(dynamic_cast<const VqaRecipe&>(*loaded.recipe).vqa.answering),
        tokenizer_(loaded.tokenizer),
        input_(loaded, command, vqa_kind(), question_rule(false)),
        list_(std::make_shared<const AnswerList>(AnswerList::of_checkpoint(
            checkpoint_folder(command.checkpoint), *loaded.tokenizer, loaded.recipe->model.text.max_positions))),
        list_texts_(texts_of_list(model_.net(), *list_)),
        calibration_(calibration_of(checkpoint_folder(command.checkpoint))) {}

  std::string operator()(const PredictRequest& request) const {
    const at::NoGradGuard guard;
    const PredictInput::Item item = input_.read(request.input);
    const bool generate = wants_generated(item.json);
    const PredictInput::Picture& picture = item.pictures.front();
    const PairStates pair =
        encode_pairs(model_.vicha().online(), picture.image, picture.concepts,
                     PackedText::packed(item.tokens, model_.vicha().device()), FusedRows::kAll, Dropout());
    const QuestionStates states{pair.fused, pair.lengths};
    const RankedAnswers ranked = rank_asked(model_.net(), *list_, {states, pair.text, pair.image, {0}},
                                            {.k = answering_.k_test, .rank = answering_.rank}, list_texts_)
                                     .front();
    const at::Tensor log_probs = at::tensor(ranked.log_probs, at::kDouble);
    input_.require_finite(item, log_probs);
    const at::Tensor shares = (log_probs / temperature_of(calibration_)).softmax(0);
    nlohmann::ordered_json answer = item.json;
    answer["answer"] = list_->text(ranked.answers.front());
    answer["probability"] = shares[0].item<double>();
    auto& best = answer["answers"] = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < std::min(kShownAnswers, ranked.answers.size()); ++i) {
      best.push_back({{"answer", list_->text(ranked.answers[i])},
                      {"probability", shares[static_cast<std::int64_t>(i)].item<double>()}});
    }
    answer["calibrated"] = calibration_.has_value();
    if (generate) {
      const GeneratedAnswer own = generate_answers(model_.net().decoder(), states,
                                                   {.beams = answering_.beams, .max_tokens = answering_.max_tokens})
                                      .front();
      input_.require_finite(item, at::scalar_tensor(own.log_prob, at::kDouble));
      answer["generated"] = {{"answer", generated_text(own.ids, *list_, tokenizer_->vocabulary())},
                             {"probability", std::exp(own.log_prob)}};
    }
    answer["concepts"] = input_.concepts_of(item);
    if (!request.explain.empty()) {
      const std::string& text = list_->text(ranked.answers.front());
      explain_answer(model_, item, pair, list_->paths().tokens(ranked.answers.front()),
                     fmt::format("{}: {} ({:.0f} %)", item.text, text, 100 * shares[0].item<double>()),
                     request.explain);
      answer["explanation"] = request.explain.string();
    }
    return json_text(answer);
  }

 private:
  const VqaModel& model_;
  AnsweringOptions answering_;
  std::shared_ptr<const WordPiece> tokenizer_;
  PredictInput input_;
  std::shared_ptr<const AnswerList> list_;  // a predictor is copied
  at::Tensor list_texts_;
  std::optional<AnswerCalibration> calibration_;
};

std::vector<EvaluationFlag> vqa_flags() {
  std::vector<EvaluationFlag> flags = question_flags();
  flags.push_back(
      {"--answers", "answers", "ranked: the best of the model's list; generated: in the decoder's own words"});
  flags.push_back({"--k-test", "k_test", "Answers that are read to their end (default: vqa.k_test of the recipe)"});
  flags.push_back({"--rank", "rank", "exact or released (default: vqa.rank of the recipe)"});
  flags.push_back({"--beams", "beams", "Of generated answers; 1: greedy (default: vqa.beams of the recipe)"});
  flags.push_back({"--submission", "submission",
                   "Also write the answers as the test server takes them; the set may then lack answers"});
  return flags;
}

}  // namespace

VqaModel::VqaModel(const VqaRecipe& recipe, std::uint64_t seed)
    : TaskModel(recipe.model, no_objectives(), seed), net_(vicha(), recipe.vqa.similarity) {}

void VqaModel::start_missing(const std::unordered_set<std::string>& missing) {
  if (net_.start_missing(missing)) {
    log::info("the decoder of answers starts as the fusion layers, its momentum copy as theirs{}",
              vicha().options().fusion.joint()
                  ? "; its attention to the question starts anew, since joint fusion layers have none to copy"
                  : "");
  }
}

TaskKind vqa_kind() {
  return {.key = "vqa",
          .title = "Visual question answering",
          .about = "Answers to questions about pictures (VQA v2)",
          .recipe = VqaRecipe(),
          .schema = [](const TaskRecipe&) { return vqa_training_schema(); },
          .checkpoint_names = {"text_decoder.**", "text_decoder_m.**", "answer_query.**", "answer_key.**",
                               "answer_scale.**", "answer_flag"},
          .make_model =
              [](const TaskRecipe& recipe, std::uint64_t seed) {
                return std::make_unique<VqaModel>(dynamic_cast<const VqaRecipe&>(recipe), seed);
              },
          .begin_training = begin_vqa_training,
          .evaluate = evaluate_vqa,
          .evaluation_flags = vqa_flags(),
          .figures = {{"accuracy", "Accuracy", "%"},
                      {"majority", "Always the most frequent answer", "%"},
                      {"nll", "Negative log-likelihood", "nats"},
                      {"ece", "Expected calibration error", "%"},
                      {"not_in_list", "Questions without an answer in the list", "%"},
                      {"records", "Questions"},
                      {"without_answers", "Questions without answers"}},
          .predict = [](LoadedModel& loaded, const PredictCommand& command) -> Predictor {
            return VqaPredictor(loaded, command);
          },
          .predict_fields = {.images = {"image"}, .text = kQuestionField, .explains = true}};
}

}  // namespace vicha
