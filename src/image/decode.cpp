#include "image/decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "image/native.h"
#include "image/samples.h"

namespace vicha {
namespace decoders {

void Source::fail(std::string_view what) const {
  throw DataError(name, what, "Replace the picture or take its record out of the manifest");
}

void Source::truncated() const {
  throw DataError(name, "the picture ends before its last row",
                  "Fetch the file again, take its record out of the manifest, or set data.truncated = \"accept\"");
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

using Decoder = NativeImage (*)(const decoders::Source&);

/// By the file's first bytes; null for none of ours.
Decoder decoder_of(std::span<const std::uint8_t> bytes) {
  if (starts_with(bytes, "\xff\xd8\xff")) return decoders::jpeg;
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n")) return decoders::png;
  if (starts_with(bytes, "RIFF") && starts_with(bytes, "WEBP", 8)) return decoders::webp;
  if (starts_with(bytes, "GIF87a") || starts_with(bytes, "GIF89a")) return decoders::gif;
  if (starts_with(bytes, "BM")) return decoders::bmp;
  if (starts_with(bytes, "P4") || starts_with(bytes, "P5") || starts_with(bytes, "P6")) return decoders::pnm;
  return nullptr;
}

}  // namespace

NativeImage decode_native(std::span<const std::uint8_t> bytes, std::string_view name, const DecodeOptions& options) {
  const decoders::Source source{bytes, name, options};
  if (bytes.empty()) source.fail("the file is empty");
  if (const Decoder decoder = decoder_of(bytes)) return decoder(source);
  source.fail("no picture of a known format (JPEG, PNG, WebP, GIF, BMP, PBM, PGM, PPM)");
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
