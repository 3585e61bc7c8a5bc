// The options about concepts that every command for raw pictures has.
#pragma once

#include "tasks/concept_finder.h"

namespace CLI {
class App;
}

namespace vicha::cli {

void add_concept_choice(CLI::App& command, ConceptChoice& choice);

}  // namespace vicha::cli
