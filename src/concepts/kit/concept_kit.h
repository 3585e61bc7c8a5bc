// All it takes to find the concepts of new pictures just as those of a training set were found: the vocabulary, its
// embeddings, and where they come from. Described beside every manifest with concepts (MANIFEST.identity.json) and kept
// whole in the checkpoints of models that were trained with them (concepts.json, .tsv, .safetensors).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "concepts/store/nearest.h"
#include "concepts/vocabulary/concept_vocabulary.h"
#include "concepts/vocabulary/vocabulary_embeddings.h"

namespace vicha {

/// How a manifest's concepts were made.
struct ConceptOrigin {
  ConceptIdentity identity;
  std::string source;  ///< "clip:FILE", "vicha:CHECKPOINT" as it was given; "manifest:FIELD" has no kit
  std::int64_t k = 15;
  double threshold = 0;                          ///< least softmax(scale * cosine); 0: none
  std::filesystem::path vocabulary, embeddings;  ///< empty for "manifest:FIELD", and for what was merged in memory
  /// SHA-256 of the vocabularies that this one is the union of, sorted; empty: it is not merged.
  std::vector<std::string> merged_from = {};

  /// Whether concepts of that identity are such as the model knows: of this identity, or of a vocabulary that is
  /// merged in it.
  bool covers(const ConceptIdentity& other) const;
};

/// MANIFEST.identity.json with all of it; paths are written relative to the manifest's folder.
void set_concept_origin(const std::filesystem::path& manifest, const ConceptOrigin& origin);
/// Nothing if there is no such file, or if it holds the bare identity only.
std::optional<ConceptOrigin> concept_origin_of(const std::filesystem::path& manifest);

struct ConceptKit {
  ConceptOrigin origin;
  ConceptVocabulary vocabulary;
  VocabularyEmbeddings embeddings;
};

/// Reads vocabulary and embeddings. Throws DataError naming the file that is missing, or that has changed since.
ConceptKit load_concept_kit(const ConceptOrigin& origin);
/// Of a checkpoint folder; nothing if its model was trained without concepts, or with such as nobody identified.
std::optional<ConceptKit> checkpoint_concept_kit(const std::filesystem::path& checkpoint);
/// Name and content of the files that a checkpoint keeps.
std::vector<std::pair<std::string, std::string>> concept_kit_files(const ConceptKit& kit);

/// Of a training set of several manifests. Their concepts must come from the same weights by the same prompt, with the
/// same k and threshold; each may have a vocabulary of its own (method, section 6.1: one a data set). Several
/// vocabularies become one: their words together, counts added up, in the order that merge_vocabularies gives whatever
/// that of the manifests, each word with the vector it has; the log says so. New pictures then get the best concepts of
/// all of them. Nothing if no manifest says where its concepts come from, or if they come from a field, which finds
/// none in new pictures. Throws DataError naming both if two manifests differ in what must be the same, or if only some
/// say.
std::optional<ConceptKit> common_concept_kit(std::span<const std::string> manifests);
/// Throws DataError naming both, as require_same does, if `origin` does not cover `identity`.
void require_covered(const ConceptOrigin& origin, std::string_view where_origin, const ConceptIdentity& identity,
                     std::string_view where_identity);

struct PictureConcepts {
  std::vector<std::string> words;  ///< best first
  std::vector<float> cosines;
};
/// Concepts of embedded pictures (n, E), as `vicha concepts assign` finds them.
std::vector<PictureConcepts> nearest_concepts(const ConceptKit& kit, const at::Tensor& pictures_nE);

}  // namespace vicha
