// Who appears in scenes: concepts with a plain name, and their drawings.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "demo/demo_sources.h"

namespace vicha::demo {

struct SceneConcept {
  std::string name;      ///< in the singular and lower case, one to three words: "polar bear"
  std::string category;  ///< "animal", "food" …
  /// Positions in SceneCast::drawings: of training artists, and of the one that is kept for validation and test.
  /// Photographs stand in both, as each object has only one: there, what is new is what surrounds them.
  std::vector<std::size_t> training, unseen;
  bool has_photo = false;
};

struct SceneCast {
  std::vector<SceneConcept> concepts;
  std::vector<Drawing> drawings;
};

/// Things that are called by a name of one or two words which fits no other of them: animals, plants, food, vehicles,
/// instruments, tools, clothing, furniture and sports things, of emoji that may be trained on; and the stamps of
/// training that are photographs of one thing ("A crow.").
SceneCast choose_cast(const std::vector<EmojiConcept>& emoji, const std::vector<Stamp>& stamps);

}  // namespace vicha::demo
