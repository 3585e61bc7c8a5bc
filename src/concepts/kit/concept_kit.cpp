#include "concepts/kit/concept_kit.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/files.h"
#include "concepts/kit/vocabulary_embeddings.h"
#include "concepts/store/nearest.h"

namespace vicha {
namespace {

constexpr const char *kProvenanceFile = "concepts.json", *kVocabularyFile = "concepts.tsv",
                     *kEmbeddingsFile = "concepts.safetensors";

}  // namespace

ConceptKit load_concept_kit(const ConceptProvenance& provenance) {
  ConceptVocabulary vocabulary = ConceptVocabulary::load(provenance.vocabulary);
  if (vocabulary.sha256() != provenance.vocabulary_sha256) {
    throw DataError(provenance.vocabulary.string(), "has other words than when the concepts were assigned",
                    "Put the old vocabulary back, or assign the concepts again (`vicha concepts assign`)");
  }
  if (provenance.neighbours) {
    ConceptKit kit{.provenance = provenance, .vocabulary = std::move(vocabulary)};
    auto table = std::make_shared<NeighbourTable>(NeighbourTable::load(provenance.embeddings, kit.vocabulary.size()));
    if (table->sha256() != provenance.neighbours->table_sha256) {
      throw DataError(provenance.embeddings.string(),
                      "has other pictures or words than when the concepts were assigned",
                      "Put the old file back, or build the concepts again (`vicha concepts build`)");
    }
    kit.neighbours = std::move(table);
    return kit;
  }
  ConceptKit kit = load_vocabulary_embeddings(provenance.embeddings, std::move(vocabulary));
  require_same(provenance, "the concepts that were assigned", kit.provenance, provenance.embeddings.string());
  kit.provenance = provenance;
  return kit;
}

std::optional<ConceptKit> checkpoint_concept_kit(const fs::path& checkpoint) {
  const fs::path file = checkpoint / kProvenanceFile;
  if (!fs::exists(file)) return std::nullopt;
  const ConceptProvenance provenance = read_concept_provenance(file);
  if (provenance.source.empty()) {
    throw DataError(file.string(), "does not say how concepts were made", "Take another checkpoint");
  }
  return load_concept_kit(provenance);
}

std::vector<std::pair<std::string, std::string>> concept_kit_files(const ConceptKit& kit) {
  ConceptProvenance provenance = kit.provenance;
  // The pictures' features are too many for a checkpoint: it says where they lie.
  if (provenance.neighbours)
    provenance.neighbours->store = fs::absolute(provenance.neighbours->store).lexically_normal();
  return {{kProvenanceFile, provenance_json(provenance, kVocabularyFile, kEmbeddingsFile)},
          {kVocabularyFile, kit.vocabulary.text()},
          {kEmbeddingsFile, kit.neighbours ? kit.neighbours->bytes() : vocabulary_embeddings_bytes(kit)}};
}

std::vector<ImageConcepts> nearest_concepts(const ConceptKit& kit, const at::Tensor& images_nE) {
  VICHA_ASSERT(!kit.neighbours);
  const double threshold = kit.provenance.threshold;
  WordMatcher matcher(kit.unit_VE, {.k = kit.provenance.k, .probabilities = threshold > 0, .scale = kit.scale});
  const NearestWords nearest = matcher.nearest(images_nE);
  std::vector<ImageConcepts> all(static_cast<std::size_t>(nearest.images));
  for (std::int64_t i = 0; i < nearest.images; ++i) {
    ImageConcepts& concepts = all[static_cast<std::size_t>(i)];
    for (std::size_t j = 0; j < nearest.probable(i, threshold); ++j) {
      concepts.words.push_back(kit.vocabulary.word(nearest.words_of(i)[j]));
      concepts.cosines.push_back(nearest.cosines_of(i)[j]);
    }
  }
  return all;
}

}  // namespace vicha
