#include "tasks/pretrain/pretrain_recipe.h"

#include "tasks/pretrain/teacher.h"
#include "tasks/retrieval/objectives_training.h"

namespace vicha {

void PretrainRecipe::describe(Visitor& v) {
  describe_model(v);
  objectives.describe(v);
  describe_training(v);
  v.section("eval", "Evaluation along the way", eval);
  v.moved("model.mae_decoder", "mae.decoder");
}

void PretrainRecipe::finish() {
  TaskRecipe::finish();
  objectives.check(model);
}

void PretrainRecipe::read_sizes(const std::string& device) {
  TaskRecipe::read_sizes(device);
  auto& teach = objectives.get<TeachOptions>();
  if (teach.enabled && teach.width == 0) teach.width = teacher_width(teach, device);
}

std::vector<std::pair<std::string, std::string>> PretrainRecipe::facts() const { return {objectives_fact(objectives)}; }

}  // namespace vicha
