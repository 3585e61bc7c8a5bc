// Noun phrases of a tagged sentence. Used inside this room only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/scene_graph/dictionary.h"
#include "text/scene_graph/tokens.h"

namespace vicha::text_detail {

struct NounPhrase {
  std::string head;                     ///< lemma; empty: no noun ("the tallest"), or a pronoun that is no object
  std::vector<std::string> attributes;  ///< of the head
  std::vector<std::string> owners;      ///< lemmas: "the man's hat"
  bool pronoun = false;
  bool determined = false;  ///< with a determiner or number
  bool owned = false;       ///< with "his", "its" or the like
  std::size_t end = 0;      ///< first word behind it

  bool found() const { return pronoun || !head.empty(); }
};

/// Whether an object may have that name: a letter alone and what begins with a digit ("4x4") name no thing.
bool names_a_thing(std::string_view lemma);

/// The noun phrase that starts at `at`; `end` is `at` if none does. Without a noun at its end (`found()` false) the
/// attributes are those that were read: predicates as in "is yellow and blue".
NounPhrase read_noun_phrase(const CaptionSentence& sentence, std::size_t at, Lexicon& lexicon);

}  // namespace vicha::text_detail
