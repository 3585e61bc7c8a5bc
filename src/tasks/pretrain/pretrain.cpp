#include "tasks/pretrain/pretrain.h"

#include "tasks/pretrain/pretrain_recipe.h"
#include "tasks/pretrain/teacher.h"
#include "tasks/retrieval/objectives_training.h"

namespace vicha {
namespace {

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
  return std::make_unique<ObjectivesTraining>(setup, recipe.objectives, std::move(extras));
}

}  // namespace

TaskKind pretrain_kind() {
  return {.key = "pretrain",
          .title = "Pretraining",
          .about = "Pretrain a model as a recipe says",
          .recipe = PretrainRecipe(),
          .make_model =
              [](const TaskRecipe& recipe, std::uint64_t seed) {
                const auto& own = dynamic_cast<const PretrainRecipe&>(recipe);
                return std::make_unique<TaskModel>(own.model, own.objectives, seed);
              },
          .begin_training = begin_pretraining};
}

}  // namespace vicha
