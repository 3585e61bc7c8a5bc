// A retrieval set with the towers' features of both sides: what an aligned model is evaluated on.
#pragma once

#include <memory>
#include <string_view>

#include "data/pipeline/evaluation.h"
#include "tasks/align/align_features.h"
#include "tasks/retrieval/retrieval.h"

namespace vicha {

class AlignedSet {
 public:
  /// `data`: of the model's recipe, `manifests` the one to evaluate. Throws DataError naming what has no features: a
  /// result without it would be another result.
  AlignedSet(const DataOptions& data, const FeaturePlaces& places, const TowerAccess& towers);

  /// By the heads as they are; of pictures the first view.
  /// `name`: the model's, for errors of scores that can rank nothing.
  RetrievalResult evaluate(const AlignModel& heads, std::string_view name, std::int64_t examples) const;

  const FeatureSide& pictures() const { return pictures_; }
  const FeatureSide& captions() const { return captions_; }

 private:
  std::unique_ptr<const EvaluationSet> set_;
  FeatureSide pictures_, captions_;
  std::vector<std::int64_t> caption_items_;  ///< of each caption of the set, in `captions_`
};

}  // namespace vicha
