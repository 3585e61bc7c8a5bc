// How many expressions find their box.
#pragma once

#include <ATen/core/Tensor.h>

#include "tasks/downstream/evaluation_command.h"
#include "tasks/grounding/candidates.h"
#include "tasks/grounding/grounding_recipe.h"

namespace vicha {

/// What a model says of all expressions of a set (X): maps over patches (X, N), or logits of candidates (X, C).
struct GroundingAnswers {
  at::Tensor maps_XN, logits_XC;  ///< one of them
  std::int64_t rows = 0, columns = 0;
};

/// {"accuracy", "chance", "pointing" (maps alone), "splits": {SPLIT: percent}, "types": {TYPE: percent}, "expressions",
/// "pictures", "by", "metric", "alpha", and counts of what is odd: "ties", "without_positive", "without_candidates",
/// "without_right_candidate", "boxes_cut"}. An expression without candidates is a wrong one.
Judgement judge_boxes(const EvaluationSet& set, const CandidateBoxes& boxes, const GroundingAnswers& answers,
                      const GroundingMapOptions& options);

/// Number of the first right candidate of each expression, -1 where there is none: (X) int64.
at::Tensor right_candidates(const EvaluationSet& set, const CandidateBoxes& boxes);

}  // namespace vicha
