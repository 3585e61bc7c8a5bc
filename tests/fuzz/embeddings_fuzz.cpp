// Embeddings that others made: .npy and .safetensors files to import, vectors of a vocabulary.
#include <vector>

#include "concepts/kit/vocabulary_embeddings.h"
#include "concepts/store/store.h"
#include "fuzz.h"
#include "tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  static const fuzz::ScratchFolder folder;
  const fuzz::Bytes bytes(data, size);
  const bool array = fuzz::text_of(bytes).starts_with("\x93NUMPY");
  const std::filesystem::path in = folder.write(array ? "in.npy" : "in.safetensors", bytes);
  folder.write("in.keys.txt", "a.jpg\t0000000000000001\nb.jpg\t0000000000000002\n");
  const SourceWeights source{"clip", "tiny", std::string(64, 'a'), "clip 32"};
  fuzz::accepted([&] { exported_source(in); });
  if (fuzz::accepted([&] { import_store(in, folder / "out", source, StoreType::kFloat32); })) {
    EmbeddingStore::open(folder / "out").verify();
  } else {
    fuzz::require(!exists(folder / "out"), "a failed import leaves nothing behind");
  }
  if (!array) {
    const ConceptVocabulary vocabulary(std::vector<ConceptWord>{{"dog", 2}, {"cat", 1}});
    ConceptKit kit;
    if (fuzz::accepted([&] { kit = load_vocabulary_embeddings(in, vocabulary); })) fuzz::check_tensor(kit.unit_VE);
  }
  folder.clear();
  return 0;
}
