// Colour, a task beside the method's: which of a recipe's classes a picture is of, with or without its caption. Records
// have the class in the field "colour".
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tasks/host/task_kind.h"

namespace guests {

struct ColourOptions {
  std::vector<std::string> classes;
  bool captions = false;

  void describe(vicha::Visitor& v);
};

struct ColourEvaluation {
  std::string manifest;

  void describe(vicha::Visitor& v);
};

struct ColourRecipe : vicha::TaskRecipe {
  ColourOptions colour;
  ColourEvaluation eval;

  ColourRecipe() : TaskRecipe("colour") {}
  void describe(vicha::Visitor& v);
  void finish() override;
  std::vector<std::pair<std::string, std::string>> facts() const override;
  std::string evaluation_manifest() const override { return eval.manifest; }
};

/// B pictures, C classes.
class ColourModel : public vicha::TaskModel {
 public:
  /// Registers "colour_head".
  ColourModel(const ColourRecipe& recipe, std::uint64_t seed);
  bool trains_fusion() const override { return captions_; }

  /// (B, C), of pictures and concepts, and of captions where the recipe wants them. A default dropout is evaluation.
  at::Tensor logits(const vicha::Batch& batch, const vicha::Dropout& dropout) const;

 private:
  bool captions_;
  vicha::Linear head_;
};

/// The picture's class beside the core of a batch.
struct ColourLabels : vicha::BatchTargets {
  at::Tensor labels;  ///< (B) int64
  void for_each_tensor(const vicha::TensorVisit& visit) override { visit(labels); }
};

vicha::Schema colour_schema(const ColourRecipe& recipe);

/// "colour".
vicha::TaskKind colour_kind();

}  // namespace guests
