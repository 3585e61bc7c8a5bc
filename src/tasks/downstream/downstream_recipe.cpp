#include "tasks/downstream/downstream_recipe.h"

#include <fmt/format.h>

namespace vicha {

void QuestionOptions::describe(Visitor& v) {
  v.field({"batch_size", "pictures", "Pictures encoded at once, fewer where memory_mib does not hold them", 1, 1e6},
          batch_size);
  v.field({"memory_mib", "MiB", "Memory for the states, keys and values of pictures", 1, 1 << 24}, memory_mib);
}

void DownstreamEvaluation::describe(Visitor& v) {
  v.field({"manifest", "",
           "Set that is evaluated at each checkpoint, by which the best one is kept; empty: none, and the last counts"},
          manifest);
  questions.describe(v);
  stop.describe(v);
}

DownstreamRecipe::DownstreamRecipe(std::string task_key) : TaskRecipe(std::move(task_key)) {
  data.concepts.random_share = 0;
}

std::vector<std::string> DownstreamRecipe::evaluation_settings() const {
  return {fmt::format("batch_size={}", eval.questions.batch_size),
          fmt::format("memory_mib={}", eval.questions.memory_mib)};
}

std::vector<std::pair<std::string, std::string>> DownstreamRecipe::facts() const {
  return {{"Starts from", init.checkpoint.empty() ? "no checkpoint" : init.checkpoint},
          {"Soft targets", distillation.enabled ? fmt::format("{:g} of the momentum model's{}", distillation.alpha,
                                                              distillation.ramp ? ", grown over the first epoch" : "")
                                                : "none"}};
}

void DownstreamRecipe::describe_head(Visitor& v) {
  describe_model(v);
  v.section("distillation", "Soft targets of the momentum model", distillation);
}

void DownstreamRecipe::describe_tail(Visitor& v) {
  describe_training(v);
  v.section("eval", "Evaluation along the way, early stopping, the best checkpoint", eval);
}

}  // namespace vicha
