// "#sunset", "#GoldenGateBridge": which words of a hashtag count. Used inside this room only.
#pragma once

#include "text/scene_graph/dictionary.h"
#include "text/scene_graph/tokens.h"

namespace vicha::text_detail {

/// Puts the words of each kHashtag word in its place where the dictionary knows all of them: behind a determiner or a
/// preposition as part of the sentence ("a #dog on the #beach"), otherwise behind a comma, as hashtags follow a
/// sentence and each other. What the dictionary does not know ("#instagood") names nothing: a comma.
void settle_hashtags(CaptionSentence& sentence, Lexicon& lexicon);

}  // namespace vicha::text_detail
