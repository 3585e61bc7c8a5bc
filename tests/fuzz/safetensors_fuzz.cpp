// safetensors: read both ways, and what was read is written and read again.
#include "checkpoint/safetensors/safetensors.h"
#include "fuzz.h"
#include "tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  static fuzz::MemoryFile file, copy;
  file.write(fuzz::Bytes(data, size));
  StateDict owned, mapped;
  Metadata metadata;
  const bool read = fuzz::accepted([&] { owned = read_safetensors(file.path(), &metadata); });
  fuzz::require(fuzz::accepted([&] { mapped = read_safetensors(file.path(), nullptr, true); }) == read,
                "mapped and copied, a file is read alike");
  std::vector<TensorInfo> header;
  const bool listed = fuzz::accepted([&] { header = read_safetensors_header(file.path()); });
  if (!read) return 0;
  fuzz::require(listed && header.size() == owned.size(), "what can be read can be listed");
  fuzz::check_tensors(owned);
  fuzz::check_tensors(mapped);
  fuzz::require(fuzz::same(owned, mapped), "mapped and copied, tensors are equal");

  copy.write(safetensors_bytes(owned, metadata));
  Metadata metadata_again;
  const StateDict again = read_safetensors(copy.path(), &metadata_again);
  fuzz::require(fuzz::same(owned, again) && metadata == metadata_again, "what was read can be written and read again");
  return 0;
}
