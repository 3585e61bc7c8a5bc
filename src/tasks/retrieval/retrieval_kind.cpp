#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "concepts/kit/concept_kit.h"
#include "config/serialize.h"
#include "nn/precision.h"
#include "tasks/concepts/concept_finder.h"
#include "tasks/host/model_files.h"
#include "tasks/host/stored_pictures.h"
#include "tasks/retrieval/objectives_training.h"
#include "tasks/retrieval/rank_input.h"
#include "tasks/retrieval/retrieval.h"
#include "tasks/retrieval/retrieval_recipe.h"
#include "train/device.h"

namespace vicha {
namespace {

using OrderedJson = nlohmann::ordered_json;

EvaluateResult evaluate_command(LoadedModel& loaded, const EvaluateCommand& command) {
  require_pairs_of_one(loaded, command.checkpoint.string());
  RetrievalOptions options;
  apply_overrides(options, loaded.recipe->evaluation_settings());
  apply_overrides(options, command.settings);
  if (!options.image_store.empty() || !options.text_store.empty()) {
    throw UsageError(fmt::format("--set {}={}: only models that stand on towers (`vicha align`) read stored features",
                                 options.image_store.empty() ? "text_store" : "image_store",
                                 options.image_store.empty() ? options.text_store : options.image_store));
  }
  if (options.k_test > 0) {
    warn_of_untaught_matching(loaded, command.checkpoint.string(), "--k-test 0 ranks by contrast alone");
  }
  const DataOptions data = command.data(loaded.recipe->data);
  ConceptFinderOptions finding = command.concepts;
  finding.tower.device = command.device;
  const fs::path checkpoint = checkpoint_folder(command.checkpoint);
  ConceptFinder finder(checkpoint_concept_kit(checkpoint), checkpoint.string(), finding);
  const auto set = finder.load(data, loaded.tokenizer);
  if (loaded.tower) {
    set->set_features(
        evaluation_features(set->manifest(), {.data = data, .tower = *loaded.tower, .device = command.device}));
  }
  const Bf16Scope scope(use_bf16(command.precision, loaded.vicha().device()));
  const RetrievalResult result = evaluate_retrieval(*loaded.parts, set, options, checkpoint.string());
  auto json = OrderedJson::parse(result.to_json());
  json["manifest"] = command.manifest.string();
  json["checkpoint"] = command.checkpoint.string();
  json["precision"] = name_of(kPrecisionNames, command.precision);
  json["concepts"] = finder.describe(data);
  return {json_text(json, 1), result.to_table()};
}

std::unique_ptr<TaskTraining> begin_retrieval(const TrainingSetup& setup) {
  const auto& recipe = dynamic_cast<const RetrievalRecipe&>(setup.recipe);
  ObjectivesTraining::Extras extras;
  if (!recipe.eval.manifest.empty()) {
    extras.stop = std::make_unique<EarlyStop>(recipe.eval.stop, retrieval_along(recipe.eval, recipe.data, setup));
  }
  return std::make_unique<ObjectivesTraining>(setup, recipe.objectives, std::move(extras));
}

}  // namespace

TaskKind retrieval_kind() {
  return {
      .key = "retrieval",
      .title = "Retrieval",
      .about = "Retrieval in both directions, zero-shot or fine-tuned: contrast, then matching of the best",
      .recipe = RetrievalRecipe(),
      .make_model =
          [](const TaskRecipe& recipe, std::uint64_t seed) {
            const auto& own = dynamic_cast<const RetrievalRecipe&>(recipe);
            return std::make_unique<TaskModel>(own.model, own.objectives, seed);
          },
      .begin_training = begin_retrieval,
      .evaluate = evaluate_command,
      .evaluation_flags =
          {{"--k-test", "k_test",
            "Candidates that are matched; 0: contrast alone (default: eval.k_test of the recipe)"},
           {"--ranking", "ranking",
            "What orders them: matching (the paper's) or joint, with contrast (default: eval.ranking of the recipe)"},
           {"--match-weight", "match_weight",
            "Of matching's log-odds beside the contrast's, in ranking = joint (default: eval.match_weight of the "
            "recipe)"},
           {"--batch", "batch_size", "Pictures encoded at once (default: eval.batch_size of the recipe)"},
           {"--memory-mib", "memory_mib",
            "Memory for encoded pictures; what does not fit is encoded again, with the same result (2048)"},
           {"--image-store", "image_store",
            "Of an aligned model: pooled features of the set's pictures (`vicha embed`), which are not computed then"},
           {"--text-store", "text_store", "Of an aligned model: the same of its captions"}},
      .predict = rank_input,
      .any_model = true};
}

}  // namespace vicha
