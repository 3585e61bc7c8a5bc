#include "tasks/downstream/downstream_training.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "tasks/host/evaluation_record.h"
#include "train/checkpoint_folder.h"

namespace vicha {

ObjectivesOptions no_objectives() {
  ObjectivesOptions options;
  options.enable_only({});
  return options;
}

double distilled_share(const DownstreamRecipe& recipe, const StepContext& context) {
  return recipe.distillation.at(context.epoch, context.step_in_epoch, context.steps_per_epoch);
}

std::unique_ptr<EarlyStop> judge_along(const TrainingSetup& setup, const DownstreamRecipe& recipe,
                                       std::function<Judgement(const std::string& name)> judge) {
  if (recipe.eval.manifest.empty()) return nullptr;
  const auto score = [out = setup.out, manifest = recipe.eval.manifest, writes = setup.group.is_writer(),
                      judge = std::move(judge)](std::int64_t step) {
    const Judgement judged = judge(checkpoint_path(out, step).string());
    if (writes) {
      record_evaluation(out, step, manifest, judged.figures);
      log::info("step {}: {}: {:.2f} % right", step, manifest, judged.score);
    }
    return judged.score;
  };
  return std::make_unique<EarlyStop>(recipe.eval.stop, score);
}

}  // namespace vicha
