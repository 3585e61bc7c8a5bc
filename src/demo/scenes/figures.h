// What can be reached on scenes without looking at them: by chance, and by whoever learns from texts, cards and boxes.
// A model has learnt to see only what it does better.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "demo/scenes/tasks.h"

namespace vicha::demo {

/// Percent of test records answered rightly, by a name.
using Figures = std::vector<std::pair<std::string, double>>;

struct TaskFigures {
  std::string task;   ///< "vqa"
  Figures rules;      ///< by what they go by: "vqa_question_text"
  double blind = 0;   ///< the best rule's
  double chance = 0;  ///< of an answer, label, box or picture drawn from all that there are
};

/// VQA, NLVR2, entailment, grounding and retrieval (of a caption's picture; no rules). Rules give the most frequent
/// answer that training records with equal text (or form …) have. Among boxes, they go by what the expression says of
/// size or height, and take each of those that fit equally often; the same by form of expression is told beside.
std::vector<TaskFigures> measure_figures(const SceneSplit& train, const SceneSplit& test, std::size_t answers);

}  // namespace vicha::demo
