// All it takes to find the concepts of new pictures just as those of a training set were found: the vocabulary, its
// embeddings, and where they come from. Described beside every manifest with concepts (MANIFEST.identity.json) and kept
// whole in the checkpoints of models that were trained with them (concepts.json, .tsv, .safetensors).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "concepts/nearest.h"
#include "concepts/vocabulary.h"
#include "concepts/vocabulary_embeddings.h"

namespace vicha {

/// How a manifest's concepts were made.
struct ConceptOrigin {
  ConceptIdentity identity;
  std::string source;  ///< "clip:FILE", "vicha:CHECKPOINT" as it was given; "manifest:FIELD" has no kit
  std::int64_t k = 15;
  double threshold = 0;                          ///< least softmax(scale * cosine); 0: none
  std::filesystem::path vocabulary, embeddings;  ///< empty for "manifest:FIELD"
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

/// The one origin of several manifests' concepts. Nothing if none of them says; throws DataError naming both if two
/// differ, or if only some say.
std::optional<ConceptOrigin> common_concept_origin(std::span<const std::string> manifests);

struct PictureConcepts {
  std::vector<std::string> words;  ///< best first
  std::vector<float> cosines;
};
/// Concepts of embedded pictures (n, E), as `vicha concepts assign` finds them.
std::vector<PictureConcepts> nearest_concepts(const ConceptKit& kit, const at::Tensor& pictures_nE);

}  // namespace vicha
