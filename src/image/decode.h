// Reading image files. Results equal Pillow's bit for bit (tests/golden/library/images).
#pragma once

#include <filesystem>
#include <span>
#include <string_view>

#include "image/image.h"

namespace vicha {

struct DecodeOptions {
  bool accept_truncated = false;          ///< `data.truncated: accept`: keep what could be read, rest grey/black
  std::int64_t max_pixels = 178'956'970;  ///< refuse larger images (Pillow's bomb limit)
  /// A JPEG may be decoded at 1/2 or 1/4 of its size as long as its shorter side keeps this many pixels: cheaper,
  /// and near to what decoding all of it and shrinking gives, but not equal. 0: never. Only decode_native's callers
  /// that resize anyway want this.
  int least_side = 0;
};

/// JPEG, PNG, WebP, GIF (first frame), BMP/PPM where simple; by content, not by name. `convert('RGB')` of Pillow: EXIF
/// orientation ignored, alpha dropped, 16-bit grey saturated at 255. Throws DataError naming `name`.
Image decode_rgb(std::span<const std::uint8_t> bytes, std::string_view name, const DecodeOptions& options = {});
/// Whether the bytes begin as a file of one of these formats does.
bool is_known_format(std::span<const std::uint8_t> bytes);
/// `convert('RGBA')` of Pillow.
Image decode_rgba(std::span<const std::uint8_t> bytes, std::string_view name, const DecodeOptions& options = {});

Image load_rgb(const std::filesystem::path& path, const DecodeOptions& options = {});
Image load_rgba(const std::filesystem::path& path, const DecodeOptions& options = {});

/// librsvg, drawn at width x height pixels on transparent ground (RGBA, not premultiplied).
Image render_svg(std::string_view svg, int width, int height, std::string_view name);

/// PNG bytes (zlib level 6) and JPEG bytes (4:2:0, the given quality) of an RGB, grey or (PNG) RGBA image.
std::string encode_png(const Image& image);
std::string encode_jpeg(const Image& image, int quality = 92);
std::string encode_webp(const Image& image, int quality = 85);

}  // namespace vicha
