// What each word of a caption is, by the dictionary's classes and its neighbours alone. Used inside this room only.
#pragma once

#include "text/scene_graph/dictionary.h"
#include "text/scene_graph/tokens.h"

namespace vicha::text_detail {

/// Gives every kUnknown word a tag and settles the closed-class words that have several ("that", "has", "to", "her").
/// Time: linear in the words.
void tag_by_rules(CaptionSentence& sentence, Lexicon& lexicon);

/// The second half of it, for open-class words that are tagged already.
void settle_closed_words(CaptionSentence& sentence, Lexicon& lexicon);

}  // namespace vicha::text_detail
