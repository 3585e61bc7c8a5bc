// A source of concepts that lives outside src/: what is meant by "hue:FILE".
#pragma once

#include "tasks/concepts/concept_sources.h"

namespace guests {

/// FILE names colours, a line each: a word and three numbers from 0 to 255. A picture is its mean colour.
vicha::ConceptSourceKind hue_kind();

}  // namespace guests
