// How concepts were made: MANIFEST.identity.json, the `source` of stores and exports.
#include "concepts/source/provenance.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  const std::string_view json = fuzz::text_of({data, size});
  SourceWeights weights;
  if (fuzz::accepted([&] { weights = source_weights_from_json(json, "fuzz"); })) {
    fuzz::require(source_weights_from_json(to_json(weights), "fuzz").same(weights), "a source reads back the same");
    weights.describe();
  }
  ConceptProvenance provenance;
  if (fuzz::accepted([&] { provenance = concept_provenance_from_json(json, "fuzz"); })) {
    fuzz::require(concept_provenance_from_json(identity_json(provenance), "fuzz").same(provenance),
                  "a provenance reads back the same");
    provenance_json(provenance, "vocabulary.tsv", "vocabulary.safetensors");
    provenance.describe();
  }
  return 0;
}
