// PNG files, the sums of whose chunks are set right.
#include "image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return vicha::fuzz::decode_all_ways({data, size});
}

VICHA_FUZZ_REPAIRED_BY(vicha::fuzz::repair_png)
