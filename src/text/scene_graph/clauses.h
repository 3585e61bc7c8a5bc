// From tagged words to objects, attributes and relations. Used inside this room only.
#pragma once

#include "text/scene_graph/dictionary.h"
#include "text/scene_graph/scene_graph.h"
#include "text/scene_graph/tokens.h"

namespace vicha::text_detail {

/// Reads a sentence from left to right, phrase by phrase, and adds what it says to the graph. Doubles are left to the
/// caller. Time: linear in the words.
void read_clauses(const CaptionSentence& sentence, Lexicon& lexicon, SceneGraph& graph);

}  // namespace vicha::text_detail
