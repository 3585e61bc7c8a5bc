// Visual question answering (VQA v2): a decoder behind the fusion layers that ranks a list of answers, or writes its
// own. Records: vqa_recipe.h.
#pragma once

#include <string>
#include <unordered_set>

#include "tasks/host/task_kind.h"
#include "tasks/vqa/network/vqa_net.h"
#include "tasks/vqa/vqa_recipe.h"

namespace vicha {

class VqaModel : public TaskModel {
 public:
  VqaModel(const VqaRecipe& recipe, std::uint64_t seed);
  bool trains_fusion() const override { return true; }
  void start_missing(const std::unordered_set<std::string>& missing) override;
  const VqaNet& net() const { return net_; }

 private:
  VqaNet net_;
};

/// "vqa".
TaskKind vqa_kind();

}  // namespace vicha
