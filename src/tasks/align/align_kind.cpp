// How heads on towers are known to recipes, checkpoints and `vicha eval retrieval`.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_text.h"
#include "config/serialize.h"
#include "nn/precision.h"
#include "tasks/align/align_run.h"
#include "tasks/align/aligned_model.h"
#include "tasks/align/aligned_set.h"
#include "tasks/host/stored_pictures.h"

namespace vicha {
namespace {

/// Features of an evaluation set are kept beside it, or in the folder for temporary files.
FeaturePlaces kept_beside(const fs::path& manifest, const TowerRecord& towers, const RetrievalOptions& options) {
  return {.image_store = options.image_store,
          .text_store = options.text_store,
          .own_images = cache_beside(manifest, towers.image.weights, "pictures.emb"),
          .own_texts = cache_beside(manifest, towers.text.weights, "captions.emb")};
}

/// That a store of the user's, whose tower need not be there, holds features that the heads were trained on.
void require_features_of(const AlignedModel& model, const SourceWeights& wanted, const FeatureSide& side) {
  require_same(wanted, model.checkpoint().string(), side.store->source(), side.store->path().string());
}

EvaluateResult evaluate_as(const TaskKind& asked, const EvaluateCommand& command) {
  const std::string& pictures =
      command.concepts.tower.image_tower.empty() ? command.tower : command.concepts.tower.image_tower;
  const AlignedModel model(command.checkpoint, {command.device, pictures, command.concepts.tower.text_tower});
  if (asked.key != "retrieval") {
    throw DataError(model.checkpoint().string(),
                    fmt::format("is an aligned model, not one of the task '{}'", asked.key),
                    "Evaluate it by `vicha eval retrieval`");
  }
  RetrievalOptions options;
  apply_overrides(options, command.settings);
  for (const std::string& setting : command.settings) {
    if (setting.starts_with("k_test=") && options.k_test > 0) {
      throw UsageError(
          fmt::format("--set k_test={}: an aligned model has no matching that could re-rank candidates; leave it out",
                      options.k_test));
    }
  }
  const DataOptions data = command.data(model.recipe().data);
  TowerAccess towers;  // what the user's stores hold needs none
  if (options.image_store.empty()) towers.pictures = [&]() -> const PictureEncoder& { return model.pictures(); };
  if (options.text_store.empty()) towers.texts = [&]() -> const TextEncoder& { return model.texts(); };
  const AlignedSet set(data, kept_beside(command.manifest, model.towers(), options), towers);
  require_features_of(model, model.towers().image.weights, set.pictures());
  require_features_of(model, model.towers().text.weights, set.captions());
  const RetrievalResult result = set.evaluate(model.heads(), model.checkpoint().string(), options.examples);
  auto json = nlohmann::ordered_json::parse(result.to_json());
  json["manifest"] = command.manifest.string();
  json["checkpoint"] = model.checkpoint().string();
  json["precision"] = name_of(kPrecisionNames, Precision::kFp32);
  json["concepts"] = "none";
  json["image_tower"] = model.towers().image.weights.describe();
  json["text_tower"] = model.towers().text.weights.describe();
  return {json_text(json, 1), result.to_table()};
}

}  // namespace

TaskKind align_kind() {
  return {.key = "align",
          .title = "Alignment",
          .about = "Train heads on the features of two frozen towers, so that pictures and texts meet in one space",
          .recipe = AlignRecipe(),
          .evaluate_as = evaluate_as};
}

}  // namespace vicha
