// All it takes to find the concepts of new images just as those of a training set were found: the vocabulary, its
// embeddings, and how they came about. Described beside every manifest with concepts (MANIFEST.identity.json) and kept
// whole in the checkpoints of models that were trained with them (concepts.json, .tsv, .safetensors).
// V words, n images, E width.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "concepts/kit/neighbour_table.h"
#include "concepts/source/provenance.h"
#include "concepts/vocabulary/concept_vocabulary.h"

namespace vicha {

struct ConceptKit {
  ConceptProvenance provenance = {};
  ConceptVocabulary vocabulary = {};
  at::Tensor unit_VE = {};  ///< the words' vectors, fp32, length 1; undefined where words come from neighbours
  double scale = 1;         ///< the source's: what cosines are multiplied by before a softmax
  std::shared_ptr<const NeighbourTable> neighbours = {};  ///< of words from neighbours: concepts/kit/neighbours.h
};

/// Reads vocabulary and embeddings from where a provenance says they lie. Throws DataError naming the file that is
/// missing, or that has changed since.
ConceptKit load_concept_kit(const ConceptProvenance& provenance);
/// Of a checkpoint folder; nothing if its model was trained without concepts, or with such as nobody identified.
std::optional<ConceptKit> checkpoint_concept_kit(const std::filesystem::path& checkpoint);
/// Name and content of the files that a checkpoint keeps.
std::vector<std::pair<std::string, std::string>> concept_kit_files(const ConceptKit& kit);

/// Of a training set of several manifests. Their concepts must come from the same weights by the same prompt, with the
/// same k and threshold; each may have a vocabulary of its own (method, section 6.1: one a data set). Several
/// vocabularies become one: their words together, counts added up, in the order that merge_vocabularies gives whatever
/// that of the manifests, each word with the vector it has; the log says so. New images then get the best concepts of
/// all of them. Nothing if no manifest says where its concepts come from, or if they come from a field, which finds
/// none in new images. Throws DataError naming both if two manifests differ in what must be the same, or if only some
/// say.
std::optional<ConceptKit> common_concept_kit(std::span<const std::string> manifests);

struct ImageConcepts {
  std::vector<std::string> words;  ///< best first
  std::vector<float> cosines;
};
/// Concepts of embedded images (n, E), as `vicha concepts assign` finds them. Of a kit with vectors of words.
std::vector<ImageConcepts> nearest_concepts(const ConceptKit& kit, const at::Tensor& images_nE);

}  // namespace vicha
