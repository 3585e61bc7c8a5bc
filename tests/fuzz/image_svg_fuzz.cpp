// SVG files, as the demonstration draws them.
#include "image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  Image image;
  if (fuzz::accepted([&] { image = render_svg(fuzz::text_of({data, size}), 16, 12, "image.svg"); })) {
    fuzz::check_image(image, 4);
  }
  return 0;
}
