// Visual grounding: which box of a picture an expression names (method, section 5.5), learnt from pairs of pictures and
// expressions alone, or with `grounding.supervised` from right boxes too.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "objectives/objective_set.h"
#include "tasks/downstream/downstream_recipe.h"
#include "tasks/grounding/network/map_boxes.h"

namespace vicha {

/// What says where the picture shows what the expression names.
enum class GroundingMap {
  kItm,        ///< Grad-CAM of matching, in a fusion layer
  kItc,        ///< Grad-CAM of the contrast, in a block of the image encoder
  kSimilarity  ///< similarities of words and patches (model.fusion.similarity)
};
inline constexpr Choice<GroundingMap> kGroundingMapNames[] = {
    {"itm", GroundingMap::kItm}, {"itc", GroundingMap::kItc}, {"similarity", GroundingMap::kSimilarity}};

/// How maps are made and boxes chosen by them: the recipe's, then the command's.
struct GroundingMapOptions {
  GroundingMap map = GroundingMap::kItm;
  std::int64_t layer = -1, block = -1;
  double alpha = 0.5;
  GroundingMetric metric = GroundingMetric::kExact;
  std::string boxes = {};

  void describe(Visitor& v);
  /// key=value of all but `boxes`, which belong to a set.
  std::vector<std::string> settings() const;
};

struct GroundingOptions {
  GroundingMapOptions maps;
  bool supervised = false;
  double weight = 1.0;
  std::int64_t width = 256;

  void describe(Visitor& v);
};

/// Trained as retrieval is: contrast and matching, a picture's file its id. Pictures are resized, not cropped.
struct GroundingRecipe : DownstreamRecipe {
  ObjectivesOptions objectives;
  GroundingOptions grounding;

  GroundingRecipe();
  void describe(Visitor& v);
  void finish() override;
  std::vector<std::pair<std::string, std::string>> facts() const override;
  std::vector<std::string> evaluation_settings() const override;
  /// Whether any objective is on, beside the supervised head.
  bool has_objectives() const;
};

}  // namespace vicha
