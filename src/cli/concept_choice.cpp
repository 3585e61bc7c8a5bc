#include "cli/concept_choice.h"

#include <CLI/CLI.hpp>

#include "cli/choice_option.h"

namespace vicha::cli {

void add_concept_choice(CLI::App& command, ConceptChoice& choice) {
  add_choice(command, "--concepts", choice.from, kConceptsFromNames,
             "Of a model that reads concepts: auto (the manifest's if they come from the model's source, else found "
             "in the pictures), find, manifest, or none")
      ->default_str(std::string(name_of(kConceptsFromNames, choice.from)));
  command.add_option("--concept-source", choice.source,
                     "Where the source's weights are now: clip:FILE or vicha:CHECKPOINT (default: where they were in "
                     "training)");
  command.add_option("--concept-cache", choice.cache,
                     "Store of the pictures' embeddings (default: MANIFEST.<source>.emb beside the manifest)");
  command.add_option("--bpe", choice.options.bpe, "CLIP's byte-pair vocabulary (default: beside the weights)");
}

}  // namespace vicha::cli
