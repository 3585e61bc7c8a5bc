// Files that people edit: vocabularies of concepts, stop words, merged forms.
#include "concepts/vocabulary/concept_vocabulary.h"
#include "concepts/vocabulary/count_concepts.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  static fuzz::MemoryFile file, copy;
  file.write(fuzz::Bytes(data, size));
  ConceptVocabulary vocabulary;
  if (fuzz::accepted([&] { vocabulary = ConceptVocabulary::load(file.path()); })) {
    copy.write(vocabulary.text());
    fuzz::require(ConceptVocabulary::load(copy.path()).sha256() == vocabulary.sha256(),
                  "a vocabulary that was read can be written and read again");
    const ConceptVocabulary both[] = {vocabulary, vocabulary};
    fuzz::require(merge_vocabularies(both).size() == vocabulary.size(), "a vocabulary merged with itself is the same");
  }
  fuzz::accepted([&] { load_stop_list(file.path()); });
  fuzz::accepted([&] { load_merged_forms(file.path()); });
  return 0;
}
