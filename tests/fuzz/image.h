// Images of any format, told by content: one target a format differs in its files, and in how it mutates them.
#pragma once

#include "fuzz.h"
#include "image/decode.h"
#include "image/native.h"

namespace vicha::fuzz {

inline void check_image(const Image& image, int channels) {
  require(image.width > 0 && image.height > 0 && image.channels == channels, "an image has a size");
  require(image.pixels.size() == static_cast<std::size_t>(image.width) * image.height * channels,
          "an image has all of its pixels");
}

inline int decode_all_ways(Bytes bytes) {
  DecodeOptions strict, kind, shrunk;
  strict.max_pixels = kind.max_pixels = shrunk.max_pixels = 1 << 15;  // more takes time and shows nothing else
  kind.accept_truncated = shrunk.accept_truncated = true;
  shrunk.least_side = 4;
  const bool known = is_known_format(bytes);
  Image whole, image;
  const bool read = accepted([&] { whole = decode_rgb(bytes, "image", strict); });
  require(known || !read, "what is read begins as an image does");
  if (read) check_image(whole, 3);
  const bool read_kindly = accepted([&] { image = decode_rgb(bytes, "image", kind); });
  require(read_kindly || !read, "what is whole is read where less would do");
  if (read) require(image.pixels == whole.pixels, "a whole image does not depend on what is done with others");
  if (accepted([&] { image = decode_rgba(bytes, "image", kind); })) check_image(image, 4);
  NativeImage native;
  if (accepted([&] { native = decode_native(bytes, "image", shrunk); })) {
    check_image(to_rgb(std::move(native)), 3);
  }
  return 0;
}

}  // namespace vicha::fuzz
