// Everything a recipe can say about `vicha align`: two heads on the features of frozen towers.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "align/align_options.h"
#include "concepts/store/store.h"
#include "metrics/recall.h"
#include "tasks/host/task_recipe.h"
#include "train/early_stop.h"

namespace vicha {

/// Where features come from: towers that make them, stores that hold them, or both.
struct AlignFeatureOptions {
  std::string image_tower, text_tower, text_vocabulary;
  std::string image_store, text_store;
  std::string views;
  StoreType type = StoreType::kFloat16;

  void describe(Visitor& v);
};

/// What an evaluation along the way is judged by: percent, the greater the better.
enum class AlignScore { kR1, kR5, kR10, kMean, kTextR1, kTextR10, kImageR1, kImageR10 };
inline constexpr Choice<AlignScore> kAlignScoreNames[] = {
    {"r1", AlignScore::kR1},
    {"r5", AlignScore::kR5},
    {"r10", AlignScore::kR10},
    {"mean", AlignScore::kMean},
    {"text_to_image_r1", AlignScore::kTextR1},
    {"text_to_image_r10", AlignScore::kTextR10},
    {"image_to_text_r1", AlignScore::kImageR1},
    {"image_to_text_r10", AlignScore::kImageR10},
};
double score_of(const RetrievalMetrics& metrics, AlignScore score);

struct AlignEvalOptions {
  std::string manifest;
  AlignScore score = AlignScore::kR1;
  EarlyStopOptions stop;

  void describe(Visitor& v);
};

struct AlignRecipe : TaskRecipe {
  AlignOptions align;
  AlignFeatureOptions features;
  FeatureBatchOptions batch;
  AlignEvalOptions eval;

  AlignRecipe();
  void describe(Visitor& v);
  void finish() override;
  std::vector<std::pair<std::string, std::string>> facts() const override;
  std::string evaluation_manifest() const override { return eval.manifest; }
};

}  // namespace vicha
