// What the trainings of downstream tasks share: the share of soft targets, and evaluation along the way by which the
// best checkpoint is kept.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tasks/downstream/evaluation_command.h"
#include "tasks/host/task_kind.h"
#include "train/early_stop.h"

namespace vicha {

/// No objective of pretraining: the task's own loss is all there is.
ObjectivesOptions no_objectives();

/// Share of the soft targets at a step; 0 where the recipe switches them off.
double distilled_share(const DownstreamRecipe& recipe, const StepContext& context);

/// What TaskTraining::early_stop gives: evaluates at each checkpoint by `judge` (every rank calls it; the score is the
/// same on all), records the figures and logs the score. Null where the recipe names no eval.manifest. `setup` and what
/// `judge` holds outlive it. `name`: of the checkpoint to be, for messages of `judge`.
std::unique_ptr<EarlyStop> judge_along(const TrainingSetup& setup, const DownstreamRecipe& recipe,
                                       std::function<Judgement(const std::string& name)> judge);

}  // namespace vicha
