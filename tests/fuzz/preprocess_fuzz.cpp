// How images are made ready for a CLIP: open_clip's preprocess_cfg, transformers' preprocessor_config.json.
#include "concepts/source/clip_view.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view json = vicha::fuzz::text_of({data, size});
  vicha::fuzz::accepted([&] { vicha::clip_view_of(json, "preprocessor_config.json", 224); });
  return 0;
}
