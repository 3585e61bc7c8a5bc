#include "tasks/pretrain/pretrain.h"

#include "objectives/mtm.h"
#include "tasks/host/feature_tower.h"
#include "tasks/pretrain/pretrain_recipe.h"
#include "tasks/pretrain/region_data.h"
#include "tasks/pretrain/teacher.h"
#include "tasks/retrieval/objectives_training.h"

namespace vicha {
namespace {

/// What objectives over regions read, if any is on.
void add_region_data(const PretrainRecipe& recipe, const TrainingSetup& setup, ObjectivesTraining::Extras& extras) {
  const RegionNeeds needs = region_needs(recipe.objectives, recipe.model);
  if (!needs.any()) return;
  RegionSetup regions{needs, recipe.model, recipe.data, setup.manifest, nullptr, nullptr, {}};
  if (needs.tags || needs.tags_too) {
    regions.tags = std::make_shared<const TagVocabulary>(TagVocabulary::of(*setup.manifest));
    if (needs.tags) {
      const bool told = recipe.objectives.get<MtmOptions>().enabled;
      if (told && setup.checkpoint) regions.tags->require_of(*setup.checkpoint, recipe.data.manifests.front());
      extras.files.emplace_back(kRegionTagsFile, regions.tags->json());
    }
  }
  regions.text = std::make_shared<const SampleText>(setup.tokenizer, recipe.data);
  if (recipe.model.vit.reads_features()) {
    regions.views = recipe.data.features.whole
                        ? std::vector(1, SeenPart())
                        : seen_by_views(open_feature_store(recipe.data.features)->layout().view_list);
    if (regions.views.empty()) {
      throw DataError(
          recipe.data.features.store,
          "says of its views of the pictures not which part of them they show, so that nobody can tell "
          "where their regions lie",
          "Take whole pictures alone (data.features.whole = true), or make the store anew by `vicha embed`");
    }
  }
  extras.makers.push_back(region_targets(regions));
  extras.shown_parts = true;
}

std::unique_ptr<TaskTraining> begin_pretraining(const TrainingSetup& setup) {
  const auto& recipe = dynamic_cast<const PretrainRecipe&>(setup.recipe);
  ObjectivesTraining::Extras extras;
  extras.on_checkpoint = retrieval_along(recipe.eval, recipe.data, setup);
  const auto& teach = recipe.objectives.get<TeachOptions>();
  if (teach.enabled) {
    const SampleText text(setup.tokenizer, recipe.data);
    extras.makers.push_back(
        teacher_targets({teach, recipe.data, setup.manifest, text, setup.out, setup.device, setup.group}));
  }
  add_region_data(recipe, setup, extras);
  return std::make_unique<ObjectivesTraining>(setup, recipe.objectives, std::move(extras));
}

}  // namespace

TaskKind pretrain_kind() {
  return {.key = "pretrain",
          .title = "Pretraining",
          .about = "Pretrain a model as a recipe says",
          .recipe = PretrainRecipe(),
          .schema =
              [](const TaskRecipe& recipe) {
                const auto& own = dynamic_cast<const PretrainRecipe&>(recipe);
                return region_schema(region_needs(own.objectives, own.model));
              },
          .make_model =
              [](const TaskRecipe& recipe, std::uint64_t seed) {
                const auto& own = dynamic_cast<const PretrainRecipe&>(recipe);
                return std::make_unique<TaskModel>(own.model, own.objectives, seed);
              },
          .begin_training = begin_pretraining};
}

}  // namespace vicha
