// TIFF files: many tags that point anywhere.
#include "image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return vicha::fuzz::decode_all_ways({data, size});
}
