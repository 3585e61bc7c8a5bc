// Embedding stores: read, checked, exported, gone on with.
#include <ATen/ATen.h>

#include <numeric>
#include <vector>

#include "concepts/store/store.h"
#include "fuzz.h"
#include "tensors.h"

namespace {

using namespace vicha;

constexpr std::int64_t kMostNumbers = 1 << 14;  // in all records

void use(const EmbeddingStore& store) {
  for (const std::int64_t record : store.newest()) {
    fuzz::require(store.find(store.key(record)) == record, "the newest record of a key is found");
    store.content(record);
  }
  std::vector<std::int64_t> all(static_cast<std::size_t>(store.size()));
  std::iota(all.begin(), all.end(), 0);
  fuzz::accepted([&] { fuzz::check_tensor(store.rows(all)); });
}

void export_and_import(const fuzz::ScratchFolder& folder, const EmbeddingStore& store, const char* name) {
  if (!fuzz::accepted([&] { export_store(store, folder / name); })) {
    fuzz::require(!exists(folder / name), "a failed export leaves nothing behind");
    return;
  }
  fuzz::accepted([&] { import_store(folder / name, folder / "imported", store.source(), store.shape().type); });
  std::filesystem::remove(folder / "imported");
}

/// One record more, as a command does that goes on.
void go_on(const std::filesystem::path& file, const SourceWeights& source, const StoreShape& shape,
           std::int64_t before) {
  const std::string key = "a key that no store has";
  if (!fuzz::accepted([&] {
        EmbeddingStoreWriter writer(file, source, shape);
        const std::uint64_t content = 7;
        writer.add({&key, 1}, {&content, 1}, at::ones({1, shape.vectors, shape.width}));
        writer.finish();
      })) {
    return;
  }
  const EmbeddingStore store = EmbeddingStore::open(file);
  fuzz::require(store.size() == before + 1 && store.find(key) == before,
                "a store that was gone on with has the record");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::ScratchFolder folder;
  const std::filesystem::path file = folder.write("store", fuzz::Bytes(data, size));
  SourceWeights source;
  StoreShape shape;
  std::int64_t records = -1;
  fuzz::accepted([&] {
    const EmbeddingStore store = EmbeddingStore::open(file);
    source = store.source();
    shape = store.shape();
    const bool small = shape.width <= kMostNumbers && shape.vectors <= kMostNumbers / shape.width &&
                       store.size() * shape.vectors * shape.width <= kMostNumbers;
    if (!small) return;
    records = store.size();
    use(store);
    if (fuzz::accepted([&] { store.verify(); })) {
      export_and_import(folder, store, "out.npy");
      export_and_import(folder, store, "out.safetensors");
    }
  });
  if (records >= 0) go_on(file, source, shape, records);
  folder.clear();
  return 0;
}

VICHA_FUZZ_REPAIRED_BY(vicha::fuzz::repair_store)
