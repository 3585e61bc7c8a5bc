// Concepts into manifests from the captions of like pictures (concepts/kit/neighbours.h).
#pragma once

#include <filesystem>
#include <string>

#include "concepts/kit/neighbours.h"
#include "concepts/match/assign.h"
#include "concepts/vocabulary/count_concepts.h"

namespace vicha {

/// The pictures of `manifest` that `store` holds, with the words of `vocabulary` that their captions name. `parsed`:
/// those captions as parse_captions writes them. `group`: a field of the records, a string or number; "": none.
/// `forms`: how words are put before they are looked up. Throws DataError if manifest and parsed captions do not belong
/// together, a record lacks the group, or the store holds none of the pictures.
NeighbourTable make_neighbour_table(const std::filesystem::path& manifest, const std::filesystem::path& parsed,
                                    const ConceptVocabulary& vocabulary, const EmbeddingStore& store,
                                    const std::string& group, const CountOptions& forms);

/// As assign_concepts, from a store that holds the features of the manifest's pictures. Records whose group the table
/// has are not given words of that group.
AssignReport assign_by_neighbours(const std::filesystem::path& manifest, const std::filesystem::path& store,
                                  const NeighbourFinder& finder, const std::filesystem::path& out,
                                  const AssignOptions& options);

}  // namespace vicha
