// Visual entailment (SNLI-VE): records {"image", "sentence", "label"}, the label one of contradiction, neutral,
// entailment (or its number). Records with the label "-", on which the annotators did not agree, are left out.
#pragma once

#include <string>
#include <vector>

#include "tasks/downstream/downstream_recipe.h"
#include "tasks/entailment/network/entailment_net.h"
#include "tasks/host/task_kind.h"

namespace vicha {

class EntailmentRecipe : public DownstreamRecipe {
 public:
  EntailmentRecipe() : DownstreamRecipe("entailment") {}
  void describe(Visitor& v);
};

class EntailmentModel : public TaskModel {
 public:
  EntailmentModel(const EntailmentRecipe& recipe, std::uint64_t seed);
  bool trains_fusion() const override { return true; }
  const EntailmentNet& net() const { return net_; }

 private:
  EntailmentNet net_;
};

/// "entailment".
TaskKind entailment_kind();

}  // namespace vicha
