// Weights from whatever the user points at: told by content, converted. An index of shards finds one beside it.
#include <ATen/ATen.h>

#include "checkpoint/files/convert.h"
#include "checkpoint/files/open.h"
#include "checkpoint/names/names.h"
#include "checkpoint/pickle/pth.h"
#include "fuzz.h"
#include "tensors.h"

namespace {

using namespace vicha;

constexpr std::string_view kShard = "shard.safetensors";

/// A failed conversion leaves nothing behind; what a successful one wrote holds the weights.
void convert(const fuzz::ScratchFolder& folder, const std::filesystem::path& from, const char* name) {
  const std::size_t before = folder.size();
  Conversion done;
  if (!fuzz::accepted([&] { done = convert_weights(from, folder / name); })) {
    fuzz::require(folder.size() == before, "a failed conversion leaves nothing behind");
    return;
  }
  if (done.tensors > 0) fuzz::check_tensors(open_weights(folder / name).tensors);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::ScratchFolder folder;
  static const bool ready = [] {
    StateDict shard;
    for (const char* name : {"a", "b"}) shard.set(name, at::ones({2}));
    write_safetensors(folder / kShard, shard);
    return true;
  }();
  fuzz::require(ready, "a shard is there");
  const std::filesystem::path file = folder.write("weights", fuzz::Bytes(data, size));
  Weights weights;
  const bool read = fuzz::accepted([&] { weights = open_weights(file); });
  if (read) {
    fuzz::check_tensors(weights.tensors);
    fuzz::accepted([&] { fuzz::check_tensors(to_released_names(weights.tensors, "weights")); });
  }
  Weights mapped;
  fuzz::require(fuzz::accepted([&] { mapped = open_weights(file, true); }) == read,
                "mapped and copied, weights are read alike");
  fuzz::check_tensors(mapped.tensors);
  mapped = {};
  convert(folder, file, "out.safetensors");
  convert(folder, file, "out.pth");
  const std::string_view kept[] = {kShard};
  folder.clear(kept);
  return 0;
}

VICHA_FUZZ_REPAIRED_BY(vicha::fuzz::repair_zip)
