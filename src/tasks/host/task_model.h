// A model with what its task added to it: objectives, and heads of the task's own.
#pragma once

#include <string>
#include <unordered_set>

#include "checkpoint/tensors/state_dict.h"
#include "models/vicha.h"
#include "objectives/objective_set.h"

namespace vicha {

/// Host and objectives. A task with heads of its own derives from this and registers them in vicha().parameters(), in
/// the scopes "heads" (files may lack them) and one of their own (by which recipes freeze them), and where they read
/// the fusion layers "fusion_heads" (fusion_lr_scale holds for them).
class TaskModel {
 public:
  /// Throws UsageError if the options do not fit each other.
  TaskModel(const ModelOptions& options, const ObjectivesOptions& objectives, std::uint64_t seed)
      : vicha_(options, seed), objectives_(objectives, vicha_) {}
  virtual ~TaskModel() = default;
  /// Whether the task's own loss trains the fusion layers, from the first step on. Otherwise they begin with the first
  /// objective that does.
  virtual bool trains_fusion() const { return false; }
  /// Before weights of another model (init.checkpoint) fill this one: they may be given other names, or be made others
  /// (layers doubled). `weights`: by released names; `file`: for messages.
  virtual void adapt_weights(StateDict& /*weights*/, const std::string& /*file*/) const {}
  /// After that, with the released names that the file did not have: parts of the task's own may begin as something
  /// better than at random. Momentum copies among them are equal to what they follow by then, and are the task's to
  /// keep so.
  virtual void start_missing(const std::unordered_set<std::string>& /*missing*/) {}
  TaskModel(const TaskModel&) = delete;
  TaskModel& operator=(const TaskModel&) = delete;

  Vicha& vicha() { return vicha_; }
  const Vicha& vicha() const { return vicha_; }
  const ObjectiveSet& objectives() const { return objectives_; }
  /// The matching objective's head (2, D_text), which every model has.
  const Linear& match_head() const;

 private:
  Vicha vicha_;
  ObjectiveSet objectives_;
};

}  // namespace vicha
