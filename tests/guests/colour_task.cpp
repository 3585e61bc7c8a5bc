// What is done with the model: training, evaluation, prediction.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/pipeline/collate.h"
#include "data/pipeline/evaluation.h"
#include "guests/colour.h"
#include "image/decode.h"
#include "nn/precision.h"
#include "tasks/concepts/concept_finder.h"
#include "tasks/host/evaluation_record.h"
#include "tasks/host/model_files.h"
#include "train/device.h"

namespace guests {

using namespace vicha;

namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kEvaluatedAtOnce = 64;

struct Tally {
  std::int64_t right = 0, all = 0;
  double percent() const {
    return all > 0 ? std::round(1e5 * static_cast<double>(right) / static_cast<double>(all)) / 1e3 : 0.0;
  }
};

struct Judged {
  Json figures;
  std::string table;
};

/// All pictures of the set, which has the recipe's schema.
Judged judge(const ColourModel& model, const ColourRecipe& recipe, std::shared_ptr<const EvaluationSet> set) {
  const auto& column = set->manifest().column<LabelColumn>("colour");

  const at::NoGradGuard guard;
  std::vector<Tally> of_class(recipe.colour.classes.size());
  Tally total;
  std::int64_t picture = 0;
  EvaluationImages pictures(set, kEvaluatedAtOnce);
  while (std::optional<Batch> batch = pictures.next()) {
    if (recipe.colour.captions) {
      const auto first = set->caption_images().begin(), last = set->caption_images().end();
      std::vector<std::vector<std::int64_t>> rows;
      for (std::int64_t i = 0; i < batch->image.size(0); ++i, ++picture) {
        const auto at = std::lower_bound(first, last, picture) - first;  // of several captions the first
        const Tokens one = set->captions(at, 1);
        const std::int64_t* ids = one.ids.const_data_ptr<std::int64_t>();
        rows.emplace_back(ids, ids + one.lengths.front());
      }
      std::vector<const std::vector<std::int64_t>*> pointers;
      for (const auto& row : rows) pointers.push_back(&row);
      batch->text = collate_tokens(pointers, recipe.model.text.pad_id, 0);
    }
    const at::Tensor best = model.logits(*batch, Dropout()).argmax(1).cpu();
    for (std::int64_t i = 0; i < best.size(0); ++i) {
      const std::int64_t truth = column[batch->records[static_cast<std::size_t>(i)]];
      const bool right = best[i].item<std::int64_t>() == truth;
      for (Tally* tally : {&total, &of_class[static_cast<std::size_t>(truth)]}) {
        tally->right += right ? 1 : 0;
        ++tally->all;
      }
    }
  }
  Json figures = {
      {"accuracy", total.percent()}, {"chance", 100.0 / static_cast<double>(of_class.size())}, {"pictures", total.all}};
  std::string table = fmt::format("{:<16}{:>8}{:>10}\n", "", "right, %", "pictures");
  for (std::size_t c = 0; c < of_class.size(); ++c) {
    figures["classes"][recipe.colour.classes[c]] = of_class[c].percent();
    table += fmt::format("{:<16}{:>8.1f}{:>10}\n", recipe.colour.classes[c], of_class[c].percent(), of_class[c].all);
  }
  table += fmt::format("{:<16}{:>8.1f}{:>10}\n", "all", total.percent(), total.all);
  return {std::move(figures), std::move(table)};
}

/// The manifest with the concepts that the model is to read.
std::shared_ptr<const EvaluationSet> load_set(const ColourRecipe& recipe, DataOptions data, const std::string& manifest,
                                              const std::shared_ptr<const WordPiece>& tokenizer, ConceptFinder finder) {
  data.manifests = {manifest};
  return finder.load(data, tokenizer, colour_schema(recipe));
}

class ColourTraining : public TaskTraining {
 public:
  explicit ColourTraining(const TrainingSetup& setup)
      : model_(dynamic_cast<const ColourModel&>(setup.model)),
        recipe_(dynamic_cast<const ColourRecipe&>(setup.recipe)),
        out_(setup.out) {
    if (recipe_.eval.manifest.empty() || !setup.group.is_writer()) return;
    set_ =
        load_set(recipe_, recipe_.data, recipe_.eval.manifest, setup.tokenizer,
                 {setup.kit, "the training set", {.cache = run_image_cache(out_), .tower = {.device = setup.device}}});
  }

  std::vector<TargetMaker> target_makers() override {
    return {[](Batch& batch, const Manifest& manifest, Rng&) {
      const auto& column = manifest.column<LabelColumn>("colour");
      std::vector<std::int64_t> labels;
      for (const std::int64_t record : batch.records) labels.push_back(column[record]);
      batch.add<ColourLabels>().labels = int64_tensor(labels);
    }};
  }

  Losses step(const Batch& batch, const StepContext& context) override {
    const at::Tensor logits = model_.logits(batch, Dropout(recipe_.model.text.dropout, context.rng)).to(at::kFloat);
    const at::Tensor labels = batch.get<ColourLabels>().labels.to(logits.device());
    const at::Tensor loss = at::cross_entropy_loss(logits, labels);
    const at::Tensor right = logits.detach().argmax(1).eq(labels).to(at::kFloat).mean();
    return {loss, {{"colour", loss}}, {{"right", right}}};
  }

  void on_checkpoint(std::int64_t step) override {
    if (set_) record_evaluation(out_, step, recipe_.eval.manifest, judge(model_, recipe_, set_).figures);
  }

 private:
  const ColourModel& model_;
  const ColourRecipe& recipe_;
  std::filesystem::path out_;
  std::shared_ptr<const EvaluationSet> set_;
};

EvaluateResult evaluate(LoadedModel& loaded, const EvaluateCommand& command) {
  const auto& recipe = loaded.recipe.get<ColourRecipe>();
  const auto& model = dynamic_cast<const ColourModel&>(*loaded.parts);
  DataOptions data = recipe.data;
  data.image_root = command.image_root;
  if (command.image_root.empty()) data.strip_parts = 0;
  ConceptFinderOptions finding = command.concepts;
  finding.tower.device = command.device;
  const std::filesystem::path checkpoint = checkpoint_folder(command.checkpoint);
  const auto set = load_set(recipe, data, command.manifest.string(), loaded.tokenizer,
                            {checkpoint_concept_kit(checkpoint), checkpoint.string(), finding});
  const Bf16Scope scope(use_bf16(command.precision, loaded.vicha().device()));
  auto [json, table] = judge(model, recipe, set);
  json["manifest"] = command.manifest.string();
  json["checkpoint"] = command.checkpoint.string();
  return {json.dump(1), table};
}

/// {"image": FILE, "caption": TEXT} -> the same with "colour" and "probability".
Predictor predictor(LoadedModel& loaded, const PredictCommand& command) {
  const auto& recipe = loaded.recipe.get<ColourRecipe>();
  const auto& model = dynamic_cast<const ColourModel&>(*loaded.parts);
  ConceptFinderOptions finding = command.concepts;
  finding.tower.device = command.device;
  const std::filesystem::path checkpoint = checkpoint_folder(command.checkpoint);
  const auto finder = std::make_shared<ConceptFinder>(checkpoint_concept_kit(checkpoint), checkpoint.string(), finding);
  return [&recipe, &model, finder, transform = ImageTransform(recipe.data.transform),
          text = SampleText(loaded.tokenizer, recipe.data), from = finding.from](const PredictRequest& request) {
    const std::string& input = request.input;
    Json json = Json::parse(input, nullptr, /*allow_exceptions=*/false);
    const bool right = json.is_object() && json.contains("image") && json.at("image").is_string() &&
                       (!recipe.colour.captions || (json.contains("caption") && json.at("caption").is_string()));
    if (!right) {
      throw DataError(
          input, "is not what predict colour reads",
          fmt::format(R"(Give {{"image": "FILE"{}}})", recipe.colour.captions ? R"(, "caption": "TEXT")" : ""));
    }
    const std::filesystem::path picture = json.at("image").get<std::string>();
    Batch batch;
    batch.image = at::empty({1, 3, recipe.model.vit.image_res, recipe.model.vit.image_res});
    transform.evaluate(load_rgb(picture, recipe.data.decode_options()),
                       {batch.image.data_ptr<float>(), transform.size()});
    if (recipe.colour.captions) {
      const std::vector<std::int64_t> ids = text.encode(text.clean(json.at("caption").get<std::string>()));
      batch.text = collate_tokens({&ids}, text.pad_id(), 0);
    }
    if (text.has_concepts()) {
      std::vector<std::string> words;
      if (from != ConceptsFrom::kNone) words = finder->find(picture).words;
      const std::vector<std::int64_t> ids =
          text.encode_concepts(std::vector<std::string_view>(words.begin(), words.end()));
      batch.concepts = collate_tokens({&ids}, text.pad_id(), recipe.data.concepts.max_tokens);
    }
    const at::NoGradGuard guard;
    const at::Tensor shares = model.logits(batch, Dropout()).to(at::kFloat).softmax(1)[0].cpu();
    const auto best = shares.argmax().item<std::int64_t>();
    json["colour"] = recipe.colour.classes[static_cast<std::size_t>(best)];
    json["probability"] = shares[best].item<double>();
    return json.dump();
  };
}

}  // namespace

TaskKind colour_kind() {
  return {.key = "colour",
          .title = "Colour",
          .about = "The class of a picture, such as its colour",
          .recipe = ColourRecipe(),
          .schema = [](const TaskRecipe& recipe) { return colour_schema(dynamic_cast<const ColourRecipe&>(recipe)); },
          .checkpoint_names = {"colour_head.**"},
          .make_model =
              [](const TaskRecipe& recipe, std::uint64_t seed) {
                return std::make_unique<ColourModel>(dynamic_cast<const ColourRecipe&>(recipe), seed);
              },
          .begin_training = [](const TrainingSetup& setup) { return std::make_unique<ColourTraining>(setup); },
          .evaluate = evaluate,
          .figures = {{"accuracy", "Right answers", "%"}, {"chance", "Chance", "%"}, {"pictures", "Pictures"}},
          .predict = predictor};
}

}  // namespace guests
