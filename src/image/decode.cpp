#include "image/decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <utility>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"
#include "image/native.h"
#include "image/orientation.h"
#include "image/samples.h"

namespace vicha {
namespace decoders {

void Source::fail(std::string_view what) const {
  throw ImageError(ImageFault::kDamaged, name, what, "Replace the picture, or leave it out");
}

void Source::truncated() const {
  throw ImageError(ImageFault::kEndsEarly, name, "the picture ends before its last row",
                   "Fetch the file again, or leave it out; a run reads what there is with data.truncated = \"accept\"");
}

void Source::wrong_checksum(std::string_view what) const {
  throw ImageError(ImageFault::kChecksum, name,
                   fmt::format("a checksum is wrong ({}): the file was damaged on its way", what),
                   "Fetch it again, or leave it out; a run reads it all the same with data.truncated = \"accept\"");
}

void Source::check_size(std::int64_t width, std::int64_t height) const {
  if (width <= 0 || height <= 0) fail(fmt::format("the picture is {} x {} pixels", width, height));
  if (width > options.max_pixels / height) {
    fail(fmt::format("the picture claims to be {} x {} pixels, more than the limit of {}", width, height,
                     options.max_pixels));
  }
}

Palette black_palette() {
  Palette palette;
  palette.fill({0, 0, 0, 255});
  return palette;
}

Palette grey_ramp() {
  Palette palette;
  for (int i = 0; i < 256; ++i) {
    const auto v = static_cast<std::uint8_t>(i);
    palette[i] = {v, v, v, 255};
  }
  return palette;
}

}  // namespace decoders

namespace {

using std::string_view_literals::operator""sv;

constexpr std::size_t kMostBrands = 256;  // bytes of a file that are searched for them

bool starts_with(std::span<const std::uint8_t> bytes, std::string_view magic, std::size_t at = 0) {
  return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

std::span<const std::uint8_t> as_bytes(const std::string& content) {
  return {reinterpret_cast<const std::uint8_t*>(content.data()), content.size()};
}

/// Calls `pixel(in, out)` for every pixel; the sizes of both are known to the compiler.
template <int In, int Out, class Pixel>
Image map_pixels(const Image& from, Pixel pixel) {
  Image to(from.width, from.height, Out);
  const std::uint8_t* in = from.pixels.data();
  std::uint8_t* out = to.pixels.data();
  for (std::size_t n = static_cast<std::size_t>(from.width) * from.height; n > 0; --n, in += In, out += Out) {
    pixel(in, out);
  }
  return to;
}

template <int Out>
Image convert(NativeImage&& image) {
  static_assert(Out == 3 || Out == 4);
  using Byte = std::uint8_t;
  const auto opaque = [](Byte* out) {
    if constexpr (Out == 4) out[3] = 255;
  };
  const auto grey = [&](Byte* out, Byte v) {
    out[0] = out[1] = out[2] = v;
    opaque(out);
  };
  const Image& pixels = image.pixels;
  switch (image.mode) {
    case PixelMode::kBilevel:
    case PixelMode::kGrey: {
      const int transparent = Out == 4 && image.transparent ? image.transparent->front() : -1;
      return map_pixels<1, Out>(pixels, [=](const Byte* in, Byte* out) {
        grey(out, in[0]);
        if constexpr (Out == 4) {
          if (in[0] == transparent) out[3] = 0;
        }
      });
    }
    case PixelMode::kGreyAlpha:
      return map_pixels<2, Out>(pixels, [=](const Byte* in, Byte* out) {
        grey(out, in[0]);
        if constexpr (Out == 4) out[3] = in[1];
      });
    case PixelMode::kGrey16:
      return map_pixels<2, Out>(pixels, [=](const Byte* in, Byte* out) { grey(out, in[1] == 0 ? in[0] : 255); });
    case PixelMode::kRgb: {
      if constexpr (Out == 3) {
        return std::move(image.pixels);
      } else {
        const bool keyed = image.transparent.has_value();
        const std::array<std::uint16_t, 3> key = image.transparent.value_or(std::array<std::uint16_t, 3>{});
        return map_pixels<3, Out>(pixels, [=](const Byte* in, Byte* out) {
          std::copy_n(in, 3, out);
          out[3] = keyed && in[0] == key[0] && in[1] == key[1] && in[2] == key[2] ? 0 : 255;
        });
      }
    }
    case PixelMode::kRgba:
      if constexpr (Out == 4) {
        return std::move(image.pixels);
      } else {
        return map_pixels<4, Out>(pixels, [](const Byte* in, Byte* out) { std::copy_n(in, 3, out); });
      }
    case PixelMode::kCmyk:
      return map_pixels<4, Out>(pixels, [=](const Byte* in, Byte* out) {
        const unsigned light = 255u - in[3];
        for (int c = 0; c < 3; ++c) out[c] = static_cast<Byte>(light - multiply_255(in[c], light));
        opaque(out);
      });
    case PixelMode::kPalette:
      return map_pixels<1, Out>(pixels,
                                [&](const Byte* in, Byte* out) { std::copy_n(image.palette[in[0]].data(), Out, out); });
  }
  VICHA_ASSERT(false);
}

/// Whether the first box of a file of the family of MP4 names one of the brands.
bool has_brand(std::span<const std::uint8_t> bytes, std::initializer_list<std::string_view> brands) {
  if (bytes.size() < 16 || !starts_with(bytes, "ftyp", 4)) return false;
  const std::size_t size = std::size_t{bytes[0]} << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
  for (std::size_t at = 8; at + 4 <= std::min({size, bytes.size(), kMostBrands}); at += 4) {
    if (at == 12) continue;  // the version
    for (const std::string_view brand : brands) {
      if (starts_with(bytes, brand, at)) return true;
    }
  }
  return false;
}

using Decoder = NativeImage (*)(const decoders::Source&);

/// By the file's first bytes; null for none of ours.
Decoder decoder_of(std::span<const std::uint8_t> bytes) {
  if (starts_with(bytes, "\xff\xd8\xff")) return decoders::jpeg;
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n")) return decoders::png;
  if (starts_with(bytes, "RIFF") && starts_with(bytes, "WEBP", 8)) return decoders::webp;
  if (starts_with(bytes, "GIF87a") || starts_with(bytes, "GIF89a")) return decoders::gif;
  if (starts_with(bytes, "BM")) return decoders::bmp;
  if (starts_with(bytes, "P4") || starts_with(bytes, "P5") || starts_with(bytes, "P6")) return decoders::pnm;
  for (const std::string_view magic : {"II*\0"sv, "MM\0*"sv, "II+\0"sv, "MM\0+"sv}) {
    if (starts_with(bytes, magic)) return decoders::tiff;
  }
  if (has_brand(bytes, {"avif", "avis"})) return decoders::avif;
  if (has_brand(bytes, {"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1"})) return decoders::heif;
  return nullptr;
}

}  // namespace

NativeImage decode_native(std::span<const std::uint8_t> bytes, std::string_view name, const DecodeOptions& options) {
  const decoders::Source source{bytes, name, options};
  if (bytes.empty()) source.fail("the file is empty");
  const Decoder decoder = decoder_of(bytes);
  if (decoder == nullptr) {
    source.fail(unknown_format(bytes) + ", not one of JPEG, PNG, WebP, GIF, TIFF, AVIF, HEIC, BMP, PBM, PGM, PPM");
  }
  NativeImage image = decoder(source);
  if (const int orientation = options.apply_exif ? exif_orientation(bytes) : 1; orientation != 1) {
    image.pixels = oriented(std::move(image.pixels), orientation);
    if (orientation >= 5) std::swap(image.full_width, image.full_height);
  }
  return image;
}

std::string unknown_format(std::span<const std::uint8_t> bytes) {
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kFileHead));
  if (head.starts_with("P3")) return "a picture in PPM written as text";
  if (head.starts_with("P2")) return "a picture in PGM written as text";
  const std::optional<FileContent> content = file_content(head);
  if (!content) return "no picture of a known format";
  switch (content->kind) {
    case FileKind::kXml:
      return head.find("<svg") != std::string_view::npos ? "a drawing in SVG" : "a message of a server (XML)";
    case FileKind::kWebPage:
      return "an HTML page, as servers send in place of what is gone";
    case FileKind::kPointer:
      return fmt::format("{} (`{}` fetches that)", content->what, content->command);
    default:
      return std::string(content->what);
  }
}

bool is_known_format(std::span<const std::uint8_t> bytes) { return decoder_of(bytes) != nullptr; }

Image to_rgb(NativeImage&& image) { return convert<3>(std::move(image)); }
Image to_rgba(NativeImage&& image) { return convert<4>(std::move(image)); }

Image decode_rgb(std::span<const std::uint8_t> bytes, std::string_view name, const DecodeOptions& options) {
  return to_rgb(decode_native(bytes, name, options));
}

Image decode_rgba(std::span<const std::uint8_t> bytes, std::string_view name, const DecodeOptions& options) {
  return to_rgba(decode_native(bytes, name, options));
}

Image load_rgb(const std::filesystem::path& path, const DecodeOptions& options) {
  return decode_rgb(as_bytes(read_file(path)), path.string(), options);
}

Image load_rgba(const std::filesystem::path& path, const DecodeOptions& options) {
  return decode_rgba(as_bytes(read_file(path)), path.string(), options);
}

}  // namespace vicha
