#include "tasks/nlvr2/nlvr2.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_text.h"
#include "checkpoint/names/fusion_layers.h"
#include "data/pipeline/collate.h"
#include "metrics/share.h"
#include "tasks/downstream/classification.h"
#include "tasks/downstream/concept_padding.h"
#include "tasks/downstream/downstream_training.h"
#include "tasks/downstream/explanation.h"
#include "tasks/downstream/predict_input.h"
#include "tasks/host/model_files.h"

namespace vicha {
namespace {

constexpr const char *kStatement = "sentence", *kTruth = "label", *kSecondPicture = "image2";

/// True is 1.
std::vector<std::string> truth_values() { return {"False", "True"}; }

/// Sentences are cut at 30 words (data.max_words), not as tokens.
TextRule statement_rule(const TaskRecipe& recipe) {
  return {.field = kStatement, .cleaning = TextCleaning::kCaption, .max_tokens = recipe.model.text.max_positions};
}

Schema nlvr2_schema(const TaskRecipe& recipe) {
  return {.caption = false,
          .columns = {{.field = kSecondPicture, .type = ColumnType::kImage, .beside = "kwords2"},
                      {.field = kStatement, .type = ColumnType::kText},
                      {.field = kTruth, .type = ColumnType::kLabel, .values = truth_values()}},
          .text = statement_rule(recipe)};
}

Schema nlvr2_evaluation_schema(const TaskRecipe& recipe) {
  Schema schema = nlvr2_schema(recipe);
  schema.columns.push_back(type_column());
  return schema;
}

struct StatementLabels : BatchTargets {
  at::Tensor labels;  ///< (B) int64
  void for_each_tensor(const TensorVisit& visit) override { visit(labels); }
};

at::Tensor score_statements(const Nlvr2Model& model, const QuestionBatch& batch) {
  const at::Tensor fused = fuse_statements(model.vicha().online(), batch.text, batch.kv, FusedImages(batch.image),
                                           batch.image_of.at(0), batch.image_of.at(1), Dropout());
  return model.net().logits(fused);
}

/// Consistency: of the distinct sentences, those all of whose pairs of pictures are judged rightly.
void add_consistency(const EvaluationSet& set, const at::Tensor& logits_nC, const at::Tensor& labels_n,
                     Judgement& judged) {
  const at::Tensor right = logits_nC.argmax(1).eq(labels_n).contiguous();
  const bool* r = right.const_data_ptr<bool>();
  std::map<std::string_view, bool> all_right;
  for (std::int64_t i = 0; i < right.numel(); ++i) {
    bool& so_far = all_right.try_emplace(set.caption(i), true).first->second;
    so_far = so_far && r[i];
  }
  Share consistent;
  for (const auto& [sentence, right_throughout] : all_right) consistent.add(right_throughout ? 1 : 0);
  judged.figures["consistency"] = consistent.percent();
  judged.figures["sentences"] = all_right.size();
  judged.table += fmt::format("consistent: {:.2f} % of {} sentences\n", consistent.percent(), all_right.size());
}

class Nlvr2Training : public TaskTraining {
 public:
  explicit Nlvr2Training(const TrainingSetup& setup)
      : recipe_(dynamic_cast<const Nlvr2Recipe&>(setup.recipe)),
        model_(dynamic_cast<Nlvr2Model&>(setup.model)),
        padding_(setup),
        set_(load_questions_along(setup, nlvr2_evaluation_schema(recipe_), padding_.of_set())),
        stop_(judge_along(setup, recipe_, [this, &group = setup.group](const std::string& name) {
          const at::Tensor logits = score_questions(
              model_.vicha(), set_, recipe_.eval.questions, static_cast<std::int64_t>(truth_values().size()),
              [this](const QuestionBatch& batch) { return score_statements(model_, batch); }, name, group);
          const at::Tensor labels = labels_of(*set_, kTruth);
          Judgement judged = judge_classes(*set_, logits, labels, truth_values());
          add_consistency(*set_, logits, labels, judged);
          return judged;
        })) {}

  std::vector<TargetMaker> target_makers() override {
    return {[](Batch& batch, const Manifest& manifest, Rng&) {
      const auto& column = manifest.column<LabelColumn>(kTruth);
      std::vector<std::int64_t> labels;
      for (const std::int64_t record : batch.records) labels.push_back(column[record]);
      batch.add<StatementLabels>().labels = int64_tensor(labels);
    }};
  }

  Losses step(const Batch& batch, const StepContext& context) override {
    Vicha& vicha = model_.vicha();
    const at::Device device = vicha.device();
    if (context.micro_batch == 0) vicha.update_momentum();
    const FurtherPictures::List& second = batch.get<FurtherPictures>().lists.at(0);
    const StatementInput input{{StatementInput::Side{batch.image.to(device), batch.concepts},
                                StatementInput::Side{second.image.to(device), second.concepts}},
                               batch.text};
    const at::Tensor labels = batch.get<StatementLabels>().labels.to(device);
    const Nlvr2Net::Step step = model_.net().step(input, labels, distilled_share(recipe_, context),
                                                  Dropout(recipe_.model.text.dropout, context.rng));
    const at::Tensor right = step.logits.detach().argmax(1).eq(labels).to(at::kFloat).mean();
    return {step.loss, {{"nlvr2", step.loss}}, {{"right", right}}};
  }

  std::vector<std::pair<std::string, std::string>> checkpoint_files() override { return padding_.files(); }
  EarlyStop* early_stop() override { return stop_.get(); }

 private:
  const Nlvr2Recipe& recipe_;
  Nlvr2Model& model_;
  ConceptPadding padding_;
  std::shared_ptr<const EvaluationSet> set_;
  std::unique_ptr<EarlyStop> stop_;
};

EvaluateResult evaluate_nlvr2(LoadedModel& loaded, const EvaluateCommand& command) {
  const auto& model = dynamic_cast<const Nlvr2Model&>(*loaded.parts);
  return evaluate_classes(loaded, command,
                          {.schema = nlvr2_evaluation_schema(*loaded.recipe),
                           .label_field = kTruth,
                           .classes = truth_values(),
                           .score = [&model](const QuestionBatch& batch) { return score_statements(model, batch); },
                           .add_figures = add_consistency});
}

/// Objects may name both pictures in a list, as records do.
std::string with_fields_for_pictures(const std::string& input) {
  auto json = nlohmann::ordered_json::parse(input, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("images")) return input;
  for (const char* field : {"image", kSecondPicture}) {
    if (!json.contains(field)) continue;
    throw DataError(input.substr(0, 80), fmt::format("names pictures in \"images\" and in \"{}\"", field),
                    R"(Give one form: {"images": ["FILE", "FILE"], …} or {"image": "FILE", "image2": "FILE", …})");
  }
  const nlohmann::ordered_json list = json.at("images");
  if (!list.is_array() || list.size() != static_cast<std::size_t>(kPicturesOfStatement)) {
    throw DataError(input.substr(0, 80),
                    list.is_array()
                        ? fmt::format("field \"images\" names {} {}, not {}", list.size(),
                                      list.size() == 1 ? "picture" : "pictures", kPicturesOfStatement)
                        : fmt::format("field \"images\" is not a list of {} pictures", kPicturesOfStatement),
                    R"(Give {"images": ["FILE", "FILE"], "sentence": "TEXT"})");
  }
  json["image"] = list[0];
  json[kSecondPicture] = list[1];
  json.erase("images");
  return json.dump();
}

/// What the answer was read from in either picture, by the gradient of its logit.
void explain_statement(const Nlvr2Model& model, const PredictInput::Item& item, const StatementStates& states,
                       const nlohmann::ordered_json& answer, const std::filesystem::path& file) {
  const std::string label = answer.at("answer");
  const std::vector<std::string> values = truth_values();
  const auto chosen = std::ranges::find(values, label) - values.begin();
  Explanation explanation;
  explanation.title = fmt::format("{}: {} ({:.0f} %)", item.text, label, 100 * answer.at("probability").get<double>());
  for (std::size_t side = 0; side < item.pictures.size(); ++side) {
    const at::Tensor maps = statement_maps(model.vicha().online(), states, side, [&](const at::Tensor& fused) {
      return model.net().logits(fused).select(1, chosen);
    });
    explanation.pictures.push_back(
        {item.pictures[side].file, maps_of_words(item.pieces, maps, map_grid(model.vicha().options())), /*boxes=*/{}});
  }
  write_explanation(file, explanation);
}

Predictor nlvr2_predictor(LoadedModel& loaded, const PredictCommand& command) {
  const auto& model = dynamic_cast<const Nlvr2Model&>(*loaded.parts);
  return [&model, input = PredictInput(loaded, command, nlvr2_kind(), statement_rule(*loaded.recipe)),
          calibration = calibration_of(checkpoint_folder(command.checkpoint))](const PredictRequest& request) {
    const PredictInput::Item item = input.read(with_fields_for_pictures(request.input));
    StatementInput statement;
    for (std::size_t i = 0; i < statement.sides.size(); ++i) {
      statement.sides[i] = {item.pictures.at(i).image, item.pictures[i].concepts};
    }
    statement.texts = item.tokens;
    const at::NoGradGuard guard;
    nlohmann::ordered_json answer = item.json;
    const StatementStates states = statement_states(model.vicha().online(), statement, Dropout());
    const at::Tensor logits = model.net().logits(fuse_statements(
        model.vicha().online(), states.text, states.kv, states.images, states.first, states.second, Dropout()))[0];
    input.require_finite(item, logits);
    add_classes(answer, logits, truth_values(), calibration);
    answer["concepts"] = input.concepts_of(item);
    if (!request.explain.empty()) {
      explain_statement(model, item, states, answer, request.explain);
      answer["explanation"] = request.explain.string();
    }
    return json_text(answer);
  };
}

std::vector<Figure> nlvr2_figures() {
  std::vector<Figure> figures = classification_figures();
  figures.push_back({"consistency", "Sentences all of whose pairs are right", "%"});
  figures.push_back({"sentences", "Sentences"});
  return figures;
}

}  // namespace

void Nlvr2Options::describe(Visitor& v) {
  v.choice({.key = "teacher_vit",
            .meaning = "Image encoder of the model that gives the soft targets: the momentum copy's, or, as the "
                       "released model was trained, the online one, given the copy's concept tokens"},
           teacher_vit, {{"momentum", TeacherVit::kMomentum}, {"released", TeacherVit::kReleased}});
}

Nlvr2Recipe::Nlvr2Recipe() : DownstreamRecipe("nlvr2") {
  model.fusion.images = kPicturesOfStatement;
  data.concepts.max_tokens = model.text.max_positions;
}

void Nlvr2Recipe::describe(Visitor& v) {
  describe_head(v);
  v.section("nlvr", "Statements about two pictures", nlvr);
  describe_tail(v);
}

void Nlvr2Recipe::finish() {
  require_pictures_of_statement(model);
  data.concepts.max_tokens = std::min(data.concepts.max_tokens, model.text.max_positions);
  DownstreamRecipe::finish();
}

Nlvr2Model::Nlvr2Model(const Nlvr2Recipe& recipe, std::uint64_t seed)
    : TaskModel(recipe.model, no_objectives(), seed), net_(vicha(), recipe.nlvr.teacher_vit) {}

void Nlvr2Model::adapt_weights(StateDict& weights, const std::string& file) const {
  const ModelOptions& sizes = vicha().options();
  if (sizes.fusion.joint()) {
    repeat_word_similarity(weights, sizes.fusion.images);
    return;
  }
  repeat_fusion_layers(weights, {sizes.text.text_layers, sizes.text.fusion_layers, sizes.fusion.images}, file);
}

TaskKind nlvr2_kind() {
  return {.key = "nlvr2",
          .title = "Visual reasoning over two pictures",
          .about = "Whether a statement about two pictures is true (NLVR2)",
          .recipe = Nlvr2Recipe(),
          .schema = nlvr2_schema,
          .checkpoint_names = {"cls_head.**", "cls_head_m.**"},
          .make_model =
              [](const TaskRecipe& recipe, std::uint64_t seed) {
                return std::make_unique<Nlvr2Model>(dynamic_cast<const Nlvr2Recipe&>(recipe), seed);
              },
          .begin_training = [](const TrainingSetup& setup) { return std::make_unique<Nlvr2Training>(setup); },
          .evaluate = evaluate_nlvr2,
          .evaluation_flags = question_flags(),
          .figures = nlvr2_figures(),
          .predict = nlvr2_predictor,
          .predict_fields = {.images = {"image", kSecondPicture}, .text = kStatement, .explains = true}};
}

}  // namespace vicha
