// A caption as sentences of tagged words. Used inside this room only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/scene_graph/words.h"

namespace vicha::text_detail {

struct CaptionWord {
  std::string text;  ///< lower case; several words for an idiom ("in front of")
  Tag tag = Tag::kUnknown;
};
using CaptionSentence = std::vector<CaptionWord>;

/// Cuts at . ! ? and line ends; commas, brackets and the like become kComma; words of other scripts and junk become
/// kForeign; closed-class words and numbers get their tags, idioms become one word, hashtags stay whole (kHashtag), the
/// rest stays kUnknown. Any bytes may be given.
std::vector<CaptionSentence> split_caption(std::string_view caption);

}  // namespace vicha::text_detail
