#include "tasks/entailment/entailment.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "data/pipeline/collate.h"
#include "tasks/downstream/classification.h"
#include "tasks/downstream/concept_padding.h"
#include "tasks/downstream/downstream_training.h"
#include "tasks/downstream/explanation.h"
#include "tasks/downstream/network/attention_maps.h"
#include "tasks/downstream/predict_input.h"
#include "tasks/host/model_files.h"

namespace vicha {
namespace {

constexpr const char *kSentence = "sentence", *kLabel = "label";

std::vector<std::string> entailment_classes() { return {"contradiction", "neutral", "entailment"}; }

TextRule sentence_rule() { return {.field = kSentence, .cleaning = TextCleaning::kCaption}; }

Schema entailment_schema() {
  return {.caption = false,
          .columns = {{.field = kSentence, .type = ColumnType::kText},
                      {.field = kLabel, .type = ColumnType::kLabel, .values = entailment_classes(), .left_out = {"-"}}},
          .text = sentence_rule()};
}

Schema entailment_evaluation_schema() {
  Schema schema = entailment_schema();
  schema.columns.push_back(type_column());
  return schema;
}

struct EntailmentLabels : BatchTargets {
  at::Tensor labels;  ///< (B) int64
  void for_each_tensor(const TensorVisit& visit) override { visit(labels); }
};

at::Tensor score_sentences(const EntailmentModel& model, const QuestionBatch& batch) {
  const at::Tensor fused = fuse_texts(model.vicha().online(), batch.text, batch.kv, FusedImages(batch.image),
                                      batch.image_of.front(), FusedRows::kCls, Dropout());
  return model.net().logits(fused);
}

class EntailmentTraining : public TaskTraining {
 public:
  explicit EntailmentTraining(const TrainingSetup& setup)
      : recipe_(dynamic_cast<const EntailmentRecipe&>(setup.recipe)),
        model_(dynamic_cast<EntailmentModel&>(setup.model)),
        padding_(setup),
        set_(load_questions_along(setup, entailment_evaluation_schema(), padding_.of_set())),
        stop_(judge_along(setup, recipe_, [this, &group = setup.group](const std::string& name) {
          const at::Tensor logits = score_questions(
              model_.vicha(), set_, recipe_.eval.questions, static_cast<std::int64_t>(entailment_classes().size()),
              [this](const QuestionBatch& batch) { return score_sentences(model_, batch); }, name, group);
          return judge_classes(*set_, logits, labels_of(*set_, kLabel), entailment_classes());
        })) {}

  std::vector<TargetMaker> target_makers() override {
    return {[](Batch& batch, const Manifest& manifest, Rng&) {
      const auto& column = manifest.column<LabelColumn>(kLabel);
      std::vector<std::int64_t> labels;
      for (const std::int64_t record : batch.records) labels.push_back(column[record]);
      batch.add<EntailmentLabels>().labels = int64_tensor(labels);
    }};
  }

  Losses step(const Batch& batch, const StepContext& context) override {
    Vicha& vicha = model_.vicha();
    if (context.micro_batch == 0) vicha.update_momentum();
    const at::Tensor labels = batch.get<EntailmentLabels>().labels.to(vicha.device());
    const EntailmentNet::Step step =
        model_.net().step({batch.image.to(vicha.device()), batch.concepts, batch.text}, labels,
                          distilled_share(recipe_, context), Dropout(recipe_.model.text.dropout, context.rng));
    const at::Tensor right = step.logits.detach().argmax(1).eq(labels).to(at::kFloat).mean();
    return {step.loss, {{"entailment", step.loss}}, {{"right", right}}};
  }

  std::vector<std::pair<std::string, std::string>> checkpoint_files() override { return padding_.files(); }
  EarlyStop* early_stop() override { return stop_.get(); }

 private:
  const EntailmentRecipe& recipe_;
  EntailmentModel& model_;
  ConceptPadding padding_;
  std::shared_ptr<const EvaluationSet> set_;
  std::unique_ptr<EarlyStop> stop_;
};

EvaluateResult evaluate_entailment(LoadedModel& loaded, const EvaluateCommand& command) {
  const auto& model = dynamic_cast<const EntailmentModel&>(*loaded.parts);
  return evaluate_classes(loaded, command,
                          {.schema = entailment_evaluation_schema(),
                           .label_field = kLabel,
                           .classes = entailment_classes(),
                           .score = [&model](const QuestionBatch& batch) { return score_sentences(model, batch); }});
}

/// What the chosen class was read from, by the gradient of its logit.
void explain_entailment(const EntailmentModel& model, const PredictInput::Item& item, const PairStates& states,
                        const nlohmann::ordered_json& answer, const std::filesystem::path& file) {
  const Encoders& encoders = model.vicha().online();
  const ModelOptions& sizes = model.vicha().options();
  const std::string label = answer.at("answer");
  const std::vector<std::string> classes = entailment_classes();
  const auto chosen = std::ranges::find(classes, label) - classes.begin();
  const at::Tensor maps =
      word_maps(encoders, states.text, encoders.text.image_kv(states.image.fusion_rows()), FusedImages(states.image),
                {0}, FusedRows::kCls, usual_map_layer(sizes.text),
                [&](const at::Tensor& fused) { return model.net().logits(fused).select(1, chosen).sum(); });
  Explanation explanation;
  explanation.title = fmt::format("{}: {} ({:.0f} %)", item.text, label, 100 * answer.at("probability").get<double>());
  explanation.pictures.push_back(
      {item.pictures.front().file, maps_of_words(item.pieces, maps, map_grid(sizes)), /*boxes=*/{}});
  write_explanation(file, explanation);
}

Predictor entailment_predictor(LoadedModel& loaded, const PredictCommand& command) {
  const auto& model = dynamic_cast<const EntailmentModel&>(*loaded.parts);
  return [&model, input = PredictInput(loaded, command, entailment_kind(), sentence_rule()),
          calibration = calibration_of(checkpoint_folder(command.checkpoint))](const PredictRequest& request) {
    const PredictInput::Item item = input.read(request.input);
    const PredictInput::Picture& picture = item.pictures.front();
    const at::NoGradGuard guard;
    const Encoders& encoders = model.vicha().online();
    const PairStates states =
        encode_pairs(encoders, picture.image, picture.concepts, PackedText::packed(item.tokens, model.vicha().device()),
                     FusedRows::kCls, Dropout());
    nlohmann::ordered_json answer = item.json;
    const at::Tensor logits = model.net().logits(states.fused)[0];
    input.require_finite(item, logits);
    add_classes(answer, logits, entailment_classes(), calibration);
    answer["concepts"] = input.concepts_of(item);
    if (!request.explain.empty()) {
      explain_entailment(model, item, states, answer, request.explain);
      answer["explanation"] = request.explain.string();
    }
    return json_text(answer);
  };
}

}  // namespace

void EntailmentRecipe::describe(Visitor& v) {
  describe_head(v);
  describe_tail(v);
}

EntailmentModel::EntailmentModel(const EntailmentRecipe& recipe, std::uint64_t seed)
    : TaskModel(recipe.model, no_objectives(), seed),
      net_(vicha(), static_cast<std::int64_t>(entailment_classes().size())) {}

TaskKind entailment_kind() {
  return {.key = "entailment",
          .title = "Visual entailment",
          .about = "Whether a picture entails a sentence, contradicts it or leaves it open (SNLI-VE)",
          .recipe = EntailmentRecipe(),
          .schema = [](const TaskRecipe&) { return entailment_schema(); },
          .checkpoint_names = {"cls_head.**", "cls_head_m.**"},
          .make_model =
              [](const TaskRecipe& recipe, std::uint64_t seed) {
                return std::make_unique<EntailmentModel>(dynamic_cast<const EntailmentRecipe&>(recipe), seed);
              },
          .begin_training = [](const TrainingSetup& setup) { return std::make_unique<EntailmentTraining>(setup); },
          .evaluate = evaluate_entailment,
          .evaluation_flags = question_flags(),
          .figures = classification_figures(),
          .predict = entailment_predictor,
          .predict_fields = {.images = {"image"}, .text = kSentence, .explains = true}};
}

}  // namespace vicha
