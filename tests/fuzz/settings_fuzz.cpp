// Configurations that lie beside weights: Hugging Face's config.json, open_clip_config.json.
#include <string>

#include "fuzz.h"
#include "models/clip_options.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  const std::string_view json = fuzz::text_of({data, size});
  const bool known = is_clip_config(json);
  // ViT-B/32's sizes, as its weights' shapes tell them.
  ClipOptions options;
  options.vision = {.width = 768, .depth = 12, .heads = 12, .inner = 3072};
  options.text = {.width = 512, .depth = 12, .heads = 8, .inner = 2048};
  options.image_res = 224;
  options.patch = 32;
  options.vocabulary = 49408;
  options.context = 77;
  options.embed = 512;
  const bool applied = fuzz::accepted([&] { apply_clip_config(options, json, "config.json"); });
  fuzz::require(known || !applied, "what is not a configuration is not applied");
  if (applied) fuzz::accepted([&] { check_clip_options(options, "config.json"); });
  return 0;
}
