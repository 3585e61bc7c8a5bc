// Training by a list of objectives over image–text pairs: pretraining, retrieval, and grounding, which is learnt by it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "objectives/pretrain_step.h"
#include "objectives/text_cache.h"
#include "tasks/host/task_kind.h"

namespace vicha {

/// What a report says of the objectives of a recipe.
std::pair<std::string, std::string> objectives_fact(const ObjectivesOptions& objectives);

class ObjectivesTraining : public TaskTraining {
 public:
  /// What the task adds to it.
  struct Extras {
    std::vector<TargetMaker> makers = {};  ///< behind those of the objectives
    std::function<void(std::int64_t step)> on_checkpoint = {};
    bool shown_parts = false;                                     ///< whether the makers read ShownParts
    std::vector<std::pair<std::string, std::string>> files = {};  ///< TaskTraining::checkpoint_files
    std::unique_ptr<EarlyStop> stop = {};  ///< judges checkpoints instead, by which the best is kept
  };
  /// `objectives`: of the recipe. Setup and options outlive this. Throws UsageError if no objective is active at the
  /// start.
  ObjectivesTraining(const TrainingSetup& setup, const ObjectivesOptions& objectives, Extras extras);

  Losses step(const Batch& batch, const StepContext& context) override;
  /// The momentum features of the batch, of all ranks, enter the queue once the loss no longer needs its old content.
  void after_backward() override;
  std::vector<TargetMaker> target_makers() override;
  bool reads_shown_parts() const override { return extras_.shown_parts; }
  std::vector<std::pair<std::string, std::string>> checkpoint_files() override { return extras_.files; }
  void on_checkpoint(std::int64_t step) override;
  EarlyStop* early_stop() override { return extras_.stop.get(); }

 private:
  struct Pending {
    at::Tensor image_feat, text_feat, ids;
  };
  const ObjectivesOptions& objectives_;
  Vicha& model_;
  const Group& group_;
  PretrainStep step_;
  Extras extras_;
  std::shared_ptr<TextCache> cache_;  ///< of the states of a frozen text encoder
  Pending pending_;
};

}  // namespace vicha
