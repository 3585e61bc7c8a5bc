// An image in its file's own mode, as Pillow's `Image.open` holds it before `convert`. Most callers want decode.h;
// this is for what depends on the mode (CLIP's preprocessing), and for the decoders, one file each.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "image/decode.h"

namespace vicha {

enum class PixelMode {
  kBilevel,    ///< 1 byte, 0 or 255
  kGrey,       ///< 1 byte
  kGreyAlpha,  ///< 2 bytes
  kGrey16,     ///< 2 bytes, low byte first
  kRgb,        ///< 3 bytes
  kRgba,       ///< 4 bytes, alpha not premultiplied
  kCmyk,       ///< 4 bytes, 0 = no ink
  kPalette,    ///< 1 byte, an index into `palette`
};

using Palette = std::array<std::array<std::uint8_t, 4>, 256>;  ///< RGBA

struct NativeImage {
  PixelMode mode = PixelMode::kRgb;
  Image pixels;     ///< channels = bytes a pixel of the mode
  Palette palette;  ///< of kPalette; entries that the file does not give are black, as in Pillow
  /// Of kBilevel, kGrey and kRgb: the sample values that stand for "transparent" (PNG's tRNS).
  std::optional<std::array<std::uint16_t, 3>> transparent;
  /// The file's own size, 0 unless DecodeOptions::least_side let it be decoded at 1 / `shrunk` of it. The last column
  /// and row then may stand for less than a pixel.
  int full_width = 0, full_height = 0, shrunk = 1;
};

/// Same formats, limits and errors as decode_rgb.
NativeImage decode_native(std::span<const std::uint8_t> bytes, std::string_view name,
                          const DecodeOptions& options = {});
/// Pillow's `convert('RGB')` and `convert('RGBA')`.
Image to_rgb(NativeImage&& image);
Image to_rgba(NativeImage&& image);

namespace decoders {

/// What each decoder works on.
struct Source {
  std::span<const std::uint8_t> bytes;
  std::string_view name;
  const DecodeOptions& options;

  /// Throws ImageError: "<name>: <what>. <remedy>".
  [[noreturn]] void fail(std::string_view what) const;
  /// As `fail`, but the remedies name `data.truncated`.
  [[noreturn]] void truncated() const;
  [[noreturn]] void wrong_checksum(std::string_view what) const;
  /// Refuses sizes that are not positive or have more pixels than the options allow.
  void check_size(std::int64_t width, std::int64_t height) const;
};

NativeImage jpeg(const Source& source);
NativeImage png(const Source& source);
NativeImage webp(const Source& source);
NativeImage gif(const Source& source);
NativeImage bmp(const Source& source);
NativeImage pnm(const Source& source);
NativeImage tiff(const Source& source);
NativeImage avif(const Source& source);
NativeImage heif(const Source& source);

Palette black_palette();
Palette grey_ramp();

}  // namespace decoders
}  // namespace vicha
