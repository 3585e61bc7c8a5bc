// Everything a recipe can say about a pretraining run.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "objectives/objective_set.h"
#include "tasks/host/task_recipe.h"
#include "tasks/retrieval/eval_options.h"

namespace vicha {

struct PretrainRecipe : TaskRecipe {
  ObjectivesOptions objectives;
  EvalOptions eval;

  PretrainRecipe() : TaskRecipe("pretrain") {}
  void describe(Visitor& v);
  void finish() override;
  void read_sizes(const std::string& device) override;
  void make_data(const std::filesystem::path& out, const std::string& device, const Group& group) override;
  void read_records(const Manifest& manifest) override;
  std::vector<std::pair<std::string, std::string>> facts() const override;
  std::vector<std::string> evaluation_settings() const override { return eval.settings(); }
  std::string evaluation_manifest() const override { return eval.manifest; }

 private:
  void read_feature_width();
};

}  // namespace vicha
