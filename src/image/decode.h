// Reading image files. Results equal Pillow's bit for bit (tests/golden/library/images).
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "image/image.h"

namespace vicha {

/// What is wrong with a file that is no picture, or no whole one.
enum class ImageFault { kDamaged, kEndsEarly, kChecksum };

class ImageError : public DataError {
 public:
  ImageError(ImageFault fault, std::string_view where, std::string_view what, std::string_view remedy)
      : DataError(where, what, remedy), fault_(fault) {}
  ImageFault fault() const { return fault_; }

 private:
  ImageFault fault_;
};

struct DecodeOptions {
  bool accept_truncated = false;          ///< `data.truncated: accept`: keep what could be read, rest grey/black
  std::int64_t max_pixels = 178'956'970;  ///< refuse larger images (Pillow's bomb limit)
  /// A JPEG may be decoded at 1/2 or 1/4 of its size as long as its shorter side keeps this many pixels: cheaper,
  /// and near to what decoding all of it and shrinking gives, but not equal. 0: never. Only decode_native's callers
  /// that resize anyway want this.
  int least_side = 0;
  bool apply_exif = false;  ///< turn the image as its EXIF orientation says, as Pillow's `exif_transpose` does
};

/// JPEG, PNG, WebP, GIF, TIFF, AVIF, HEIC (of several frames or pages the first), BMP/PPM where simple; by content, not
/// by name. `convert('RGB')` of Pillow: alpha dropped, 16-bit grey saturated at 255, and EXIF orientation ignored
/// unless `apply_exif`. What TIFF, AVIF and HEIC themselves say of orientation is part of the format and always
/// followed. Throws ImageError naming `name`.
Image decode_rgb(std::span<const std::uint8_t> bytes, std::string_view name, const DecodeOptions& options = {});
/// Whether the bytes begin as a file of one of these formats does.
bool is_known_format(std::span<const std::uint8_t> bytes);
/// What bytes are that begin as none of them: "an HTML page", "a picture in JPEG XL", "no picture of a known format".
std::string unknown_format(std::span<const std::uint8_t> bytes);
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
