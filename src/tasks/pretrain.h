// `vicha pretrain`: a recipe becomes a trained model in a folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "distributed/group.h"
#include "objectives/text_cache.h"
#include "models/vicha.h"
#include "objectives/pretrain_step.h"
#include "tasks/pretrain_recipe.h"
#include "train/loop.h"
#include "train/task.h"

namespace vicha {

/// One pretraining step, as the training loop sees it.
class PretrainTask : public Task {
 public:
  /// `files`: name and content of what every checkpoint keeps beside the weights (vocab.txt, where concepts come from).
  PretrainTask(Vicha& model, const PretrainRecipe& recipe, std::vector<std::pair<std::string, std::string>> files);

  Losses step(const Batch& batch, const StepContext& context) override;
  /// The momentum features of the batch enter the queue once the loss no longer needs its old content.
  void after_backward() override;
  ParameterStore& parameters() override { return model_.parameters(); }
  void save_state(StateDict&) const override {}  // all of it lies in the parameter store
  void load_state(const StateDict&) override {}
  std::string config_json() const override;
  std::vector<MovedKey> moved_keys() const override { return vicha::moved_keys(recipe_); }
  std::string recipe_toml() const override;
  std::vector<std::pair<std::string, std::string>> checkpoint_files() const override { return files_; }

 private:
  Vicha& model_;
  PretrainRecipe recipe_;
  std::vector<std::pair<std::string, std::string>> files_;
  PretrainStep step_;
  std::unique_ptr<TextCache> cache_;
  struct Pending {
    at::Tensor image_feat, text_feat, ids;
  } pending_;
};

struct PretrainCommand {
  PretrainRecipe recipe;
  std::filesystem::path out;
  ResumeChoice resume;
  std::string device = "auto";
};

/// Sets up data and model, trains, evaluates at each checkpoint where the recipe says so (OUT/evaluations.jsonl).
/// In a group every rank calls it with the same command and has its share of each step's samples.
/// Throws DataError if the concepts of two manifests come from different sources.
RunResult pretrain(const PretrainCommand& command, const Group& group = Group::alone());

}  // namespace vicha
