// Text assignment, one epoch between pretraining and NLVR2, on the pairs that pretraining read: a text is shown with
// two pictures, and the model says whose it is. It teaches the fusion layers to read two.
#pragma once

#include <string>

#include "tasks/host/task_kind.h"
#include "tasks/nlvr2/network/assignment_net.h"

namespace vicha {

class TextAssignmentRecipe : public TaskRecipe {
 public:
  /// Two pictures.
  TextAssignmentRecipe();
  void describe(Visitor& v);
  void finish() override;
};

class TextAssignmentModel : public TaskModel {
 public:
  TextAssignmentModel(const TextAssignmentRecipe& recipe, std::uint64_t seed);
  bool trains_fusion() const override { return true; }
  /// Of a model with one picture each fusion layer stands there for both.
  void adapt_weights(StateDict& weights, const std::string& file) const override;
  const AssignmentNet& net() const { return net_; }

 private:
  AssignmentNet net_;
};

/// "text-assignment".
TaskKind text_assignment_kind();

}  // namespace vicha
