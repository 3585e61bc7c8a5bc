// Tags of words from the linkages of the link-grammar library. Used inside this room only.
#pragma once

#include <link-grammar/link-includes.h>

#include <memory>
#include <optional>

#include "text/scene_graph/dictionary.h"
#include "text/scene_graph/tokens.h"

namespace vicha::text_detail {

/// Whether tag_by_rules had to guess somewhere.
bool rules_guessed(const CaptionSentence& original, const CaptionSentence& ruled);

/// For one thread at a time.
class LinkTagger {
 public:
  explicit LinkTagger(SharedDictionary dictionary);

  /// `original`: as split_caption gave it; `ruled`: the same words tagged by rules, which serve as the second opinion.
  /// Reads the words as they stand and, as a noun phrase is no sentence, behind "there is", and takes the linkage that
  /// costs least; disagreement with the rules is a cost too, a small one where they had to guess. Nothing if no linkage
  /// of all words is found in time.
  std::optional<CaptionSentence> tag(const CaptionSentence& original, const CaptionSentence& ruled, Lexicon& lexicon);

 private:
  struct Best;
  void try_text(const CaptionSentence& original, const CaptionSentence& ruled, std::string_view opening,
                double handicap, Lexicon& lexicon, Best& best);

  struct OptionsDeleter {
    void operator()(Parse_Options options) const { parse_options_delete(options); }
  };
  SharedDictionary dictionary_;
  std::unique_ptr<std::remove_pointer_t<Parse_Options>, OptionsDeleter> options_;
};

}  // namespace vicha::text_detail
