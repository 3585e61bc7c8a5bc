// Ranking of a few raw candidates: `vicha predict retrieval`.
#pragma once

#include <string>

#include "tasks/host/task_kind.h"

namespace vicha {

/// Throws DataError naming `where` if the model reads more than one picture with a text, as models of NLVR2 do.
void require_pairs_of_one(const LoadedModel& loaded, const std::string& where);

/// Warns, naming `where` and the remedy, of a model whose recipe leaves matching out: unless it started from a model
/// that had learnt it, its matching head ranks at random.
void warn_of_untaught_matching(const LoadedModel& loaded, const std::string& where, const std::string& remedy);

/// Answers {"image": FILE, "texts": [...]} and {"text": TEXT, "images": [FILE...]} by the same object with
/// "ranking": [{"text" or "image", "probability", "match", "similarity"}], best first. `probability`: softmax over the
/// candidates of contrast and matching together (PairScorer::Scores::joint_i2t), so it says which of these it is;
/// `match`: of matching alone, so that it may be low for all; `similarity`: the cosine. Models without fusion layers
/// rank by contrast, and give no `match`. The model stays.
Predictor rank_input(LoadedModel& model, const PredictCommand& command);

}  // namespace vicha
