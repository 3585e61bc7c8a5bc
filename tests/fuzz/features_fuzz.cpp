// Stores of features: the layout that their header names, asked for as each kind and read by records and views.
#include <ATen/ATen.h>

#include <vector>

#include "features/feature_store.h"
#include "fuzz.h"
#include "tensors.h"

namespace {

using namespace vicha;

constexpr std::int64_t kMostNumbers = 1 << 14;  // in all records

void use(const FeatureStore& features) {
  const FeatureLayout& layout = features.layout();
  const StoreShape& shape = features.store().shape();
  fuzz::require(layout.vectors() == shape.vectors, "a layout has as many vectors as a record");
  layout.describe();
  const std::int64_t records = features.store().size();
  if (records == 0 || records > kMostNumbers / shape.vectors / shape.width) return;
  const std::vector<std::int64_t> newest = features.store().newest();
  for (std::int64_t view = 0; view < layout.views; ++view) {
    fuzz::accepted([&] {
      const at::Tensor rows = features.gather(newest, view);
      fuzz::check_tensor(rows);
      fuzz::require(rows.size(1) == layout.vectors_of_view() && rows.size(2) == features.width(),
                    "a view has the vectors that the layout says");
    });
  }
  fuzz::accepted([&] { fuzz::check_tensor(features.load(newest).rows); });
  const std::vector<std::string> keys = {"a key that no store has"};
  fuzz::require(!fuzz::accepted([&] { features.records_of(keys, "manifest.json"); }), "a missing key is told");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::ScratchFolder folder;
  const std::filesystem::path file = folder.write("features", fuzz::Bytes(data, size));
  for (const FeatureKind kind : {FeatureKind::kPooled, FeatureKind::kPatches, FeatureKind::kTexts}) {
    fuzz::accepted([&] { use(FeatureStore::open(file, kind)); });
  }
  folder.clear();
  return 0;
}

VICHA_FUZZ_REPAIRED_BY(vicha::fuzz::repair_store)
