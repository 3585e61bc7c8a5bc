// What orders the candidates of a retrieval query.
#pragma once

#include "config/choice.h"

namespace vicha {

enum class Ranking {
  kMatching,  ///< matching alone, as the paper
  kJoint,     ///< the product of its odds and the contrast's probability
};
inline constexpr Choice<Ranking> kRankingNames[] = {{"matching", Ranking::kMatching}, {"joint", Ranking::kJoint}};

}  // namespace vicha
