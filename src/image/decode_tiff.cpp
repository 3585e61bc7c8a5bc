// TIFF by libtiff: the first page, its samples as Pillow takes them. What is neither grey, RGB, CMYK nor a palette of 1
// to 16 bits is refused by name.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "image/native.h"
#include "image/orientation.h"
#include "image/tiff_file.h"

namespace vicha::decoders {
namespace {

constexpr std::int64_t kMostTile = 4096 * 4096;  // pixels beyond those of the picture
constexpr int kMostSamples = 16;                 // of a pixel

/// How the samples of a pixel lie in the file.
struct Layout {
  int width = 0, height = 0;
  int bits = 1, samples = 1;
  int channels = 1;  ///< of the samples, those that are used
  bool planes = false, inverted = false, premultiplied = false;
  std::uint16_t photometric = PHOTOMETRIC_MINISBLACK, compression = COMPRESSION_NONE;
  PixelMode mode = PixelMode::kGrey;
};

std::string_view photometric_name(std::uint16_t photometric) {
  switch (photometric) {
    case PHOTOMETRIC_MASK:
      return "a mask";
    case PHOTOMETRIC_CIELAB:
    case PHOTOMETRIC_ICCLAB:
    case PHOTOMETRIC_ITULAB:
      return "Lab colours";
    case PHOTOMETRIC_LOGL:
    case PHOTOMETRIC_LOGLUV:
      return "logarithmic light";
    case PHOTOMETRIC_CFA:
      return "a camera's raw samples";
    default:
      return "colours of an unknown kind";
  }
}

Layout layout_of(const TiffReader& reader) {
  const Source& source = *reader.source;
  const auto refuse = [&](std::string_view what) { source.fail(fmt::format("a TIFF of {}, which is not read", what)); };
  const auto width = reader.field<std::uint32_t>(TIFFTAG_IMAGEWIDTH, 0);
  const auto height = reader.field<std::uint32_t>(TIFFTAG_IMAGELENGTH, 0);
  source.check_size(width, height);
  Layout layout;
  layout.width = static_cast<int>(width);
  layout.height = static_cast<int>(height);
  layout.compression = reader.field<std::uint16_t>(TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  if (layout.compression == COMPRESSION_OJPEG) refuse("old-style JPEG");
  if (TIFFIsCODECConfigured(layout.compression) == 0) refuse(fmt::format("compression {}", layout.compression));
  const auto format = reader.field<std::uint16_t>(TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
  if (format == SAMPLEFORMAT_IEEEFP) refuse("floating-point samples");
  if (format == SAMPLEFORMAT_INT) refuse("samples with a sign");
  if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID) refuse("complex samples");
  layout.bits = reader.field<std::uint16_t>(TIFFTAG_BITSPERSAMPLE, 1);
  if (layout.bits != 1 && layout.bits != 2 && layout.bits != 4 && layout.bits != 8 && layout.bits != 16) {
    refuse(fmt::format("{} bits a sample", layout.bits));
  }
  layout.samples = reader.field<std::uint16_t>(TIFFTAG_SAMPLESPERPIXEL, 1);
  if (layout.samples > kMostSamples) refuse(fmt::format("{} samples a pixel", layout.samples));
  layout.planes = layout.samples > 1 &&
                  reader.field<std::uint16_t>(TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE;
  std::uint16_t extras = 0, *kinds = nullptr;
  TIFFGetFieldDefaulted(reader.tiff, TIFFTAG_EXTRASAMPLES, &extras, &kinds);
  const int colours = layout.samples - extras;
  const bool alpha = extras > 0 && (kinds[0] == EXTRASAMPLE_ASSOCALPHA || kinds[0] == EXTRASAMPLE_UNASSALPHA);

  layout.photometric = reader.field<std::uint16_t>(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
  int needed = 1;
  switch (layout.photometric) {
    case PHOTOMETRIC_MINISWHITE:
      layout.inverted = true;
      [[fallthrough]];
    case PHOTOMETRIC_MINISBLACK:
      layout.mode = alpha               ? PixelMode::kGreyAlpha
                    : layout.bits == 16 ? PixelMode::kGrey16
                    : layout.bits == 1  ? PixelMode::kBilevel
                                        : PixelMode::kGrey;
      break;
    case PHOTOMETRIC_PALETTE:
      if (layout.bits > 8) refuse("a palette of 16 bits");
      layout.mode = PixelMode::kPalette;
      break;
    case PHOTOMETRIC_RGB:
    case PHOTOMETRIC_YCBCR:
      needed = 3;
      layout.mode = alpha ? PixelMode::kRgba : PixelMode::kRgb;
      break;
    case PHOTOMETRIC_SEPARATED:
      needed = 4;
      layout.mode = PixelMode::kCmyk;
      if (reader.field<std::uint16_t>(TIFFTAG_INKSET, INKSET_CMYK) != INKSET_CMYK) refuse("inks other than CMYK");
      break;
    default:
      refuse(photometric_name(layout.photometric));
  }
  if (colours < needed || (colours > needed && extras > 0)) {
    refuse(fmt::format("{} colour components in place of {}", colours, needed));
  }
  const bool with_alpha = layout.mode == PixelMode::kRgba || layout.mode == PixelMode::kGreyAlpha;
  layout.channels = needed + (with_alpha ? 1 : 0);
  layout.premultiplied = with_alpha && kinds[0] == EXTRASAMPLE_ASSOCALPHA;
  if (layout.bits < 8 && needed + extras > 1) refuse(fmt::format("{} bits a sample and several samples", layout.bits));
  return layout;
}

/// Sample `i` of a row, 8 bits of it.
std::uint8_t sample(const std::uint8_t* row, std::size_t i, int bits) {
  if (bits == 8) return row[i];
  if (bits == 16) {
    std::uint16_t value = 0;
    std::memcpy(&value, row + 2 * i, 2);
    return static_cast<std::uint8_t>(value >> 8);
  }
  const std::size_t per_byte = 8u / static_cast<unsigned>(bits);
  const auto shift = static_cast<int>(8 - static_cast<std::size_t>(bits) * (1 + i % per_byte));
  return static_cast<std::uint8_t>(row[i / per_byte] >> shift & ((1 << bits) - 1));
}

/// `count` pixels from `row` into the image, at (x, y): all channels, or the one of a plane.
void put(const Layout& layout, const std::uint8_t* row, int plane, int x, int y, int count, Image& image) {
  std::uint8_t* out = image.row(y) + static_cast<std::ptrdiff_t>(x) * image.channels;
  if (layout.mode == PixelMode::kGrey16) {
    for (int i = 0; i < count; ++i, out += 2) {
      std::uint16_t value = 0;
      std::memcpy(&value, row + std::size_t{2} * i * (layout.planes ? 1 : layout.samples), 2);
      if (layout.inverted) value = static_cast<std::uint16_t>(~value);
      out[0] = static_cast<std::uint8_t>(value);
      out[1] = static_cast<std::uint8_t>(value >> 8);
    }
    return;
  }
  const int scale = layout.mode == PixelMode::kPalette || layout.bits >= 8 ? 1 : 255 / ((1 << layout.bits) - 1);
  const int first = layout.planes ? plane : 0, end = layout.planes ? plane + 1 : layout.channels;
  const std::size_t step = layout.planes ? 1 : static_cast<std::size_t>(layout.samples);
  for (int i = 0; i < count; ++i, out += image.channels) {
    for (int c = first; c < end; ++c) {
      int value = scale * sample(row, i * step + static_cast<std::size_t>(c - first), layout.bits);
      if (layout.inverted && c == 0) value = 255 - value;
      out[c] = static_cast<std::uint8_t>(value);
    }
  }
}

/// What could be read before the file is damaged or ends.
enum class Extent { kNothing, kSome, kAll };

Extent read_strips(const TiffReader& reader, const Layout& layout, Image& image) {
  std::vector<std::uint8_t> row(static_cast<std::size_t>(TIFFScanlineSize64(reader.tiff)));
  for (int plane = 0; plane < (layout.planes ? layout.channels : 1); ++plane) {
    for (int y = 0; y < layout.height; ++y) {
      if (TIFFReadScanline(reader.tiff, row.data(), static_cast<std::uint32_t>(y), static_cast<std::uint16_t>(plane)) <
          0) {
        return plane + y == 0 ? Extent::kNothing : Extent::kSome;
      }
      put(layout, row.data(), plane, 0, y, layout.width, image);
    }
  }
  return Extent::kAll;
}

Extent read_tiles(const TiffReader& reader, const Layout& layout, Image& image) {
  const auto width = static_cast<int>(reader.field<std::uint32_t>(TIFFTAG_TILEWIDTH, 0));
  const auto height = static_cast<int>(reader.field<std::uint32_t>(TIFFTAG_TILELENGTH, 0));
  reader.source->check_size(width, height);
  if (std::int64_t{width} * height > kMostTile + std::int64_t{layout.width} * layout.height) {
    reader.source->fail(fmt::format("a TIFF whose tiles are {} x {} pixels", width, height));
  }
  std::vector<std::uint8_t> tile(static_cast<std::size_t>(TIFFTileSize64(reader.tiff)));
  const auto stride = static_cast<std::size_t>(TIFFTileRowSize64(reader.tiff));
  if (stride == 0 || tile.size() / stride < static_cast<std::size_t>(height)) return Extent::kNothing;
  for (int plane = 0; plane < (layout.planes ? layout.channels : 1); ++plane) {
    for (std::int64_t top = 0; top < layout.height; top += height) {
      for (std::int64_t left = 0; left < layout.width; left += width) {
        const int x = static_cast<int>(left), y = static_cast<int>(top);
        if (TIFFReadTile(reader.tiff, tile.data(), static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(y), 0,
                         static_cast<std::uint16_t>(plane)) < 0) {
          return plane + x + y == 0 ? Extent::kNothing : Extent::kSome;
        }
        for (int i = 0; i < std::min(height, layout.height - y); ++i) {
          put(layout, tile.data() + static_cast<std::size_t>(i) * stride, plane, x, y + i,
              std::min(width, layout.width - x), image);
        }
      }
    }
  }
  return Extent::kAll;
}

/// YCbCr that is not JPEG's: libtiff's own conversion, alpha dropped.
Extent read_converted(const TiffReader& reader, const Layout& layout, Image& image) {
  std::vector<std::uint32_t> raster(static_cast<std::size_t>(layout.width) * layout.height);
  const bool whole =
      TIFFReadRGBAImageOriented(reader.tiff, static_cast<std::uint32_t>(layout.width),
                                static_cast<std::uint32_t>(layout.height), raster.data(), ORIENTATION_TOPLEFT, 1) == 1;
  std::uint8_t* out = image.pixels.data();
  for (const std::uint32_t pixel : raster) {
    *out++ = static_cast<std::uint8_t>(TIFFGetR(pixel));
    *out++ = static_cast<std::uint8_t>(TIFFGetG(pixel));
    *out++ = static_cast<std::uint8_t>(TIFFGetB(pixel));
  }
  return whole ? Extent::kAll : Extent::kNothing;
}

/// Refuses, before memory is taken, a file that cannot hold its pixels.
void check_length(const TiffReader& reader, const Layout& layout) {
  std::uint64_t fold = 0;  // the most that the compression shrinks
  switch (layout.compression) {
    case COMPRESSION_NONE:
      fold = 1;
      break;
    case COMPRESSION_PACKBITS:
      fold = 64;
      break;
    case COMPRESSION_LZW:
      fold = 2731;
      break;
    case COMPRESSION_DEFLATE:
    case COMPRESSION_ADOBE_DEFLATE:
      fold = 1032;
      break;
    case COMPRESSION_JPEG:
      fold = 16 * 1024;  // a bit or more for each 32 x 32 pixels, as in decode_jpeg.cpp
      break;
    case COMPRESSION_CCITTRLE:
    case COMPRESSION_CCITTRLEW:
    case COMPRESSION_CCITTFAX3:
    case COMPRESSION_CCITTFAX4:
      fold = static_cast<std::uint64_t>(layout.width);  // a bit or more for each row
      break;
    default:
      return;
  }
  if (layout.photometric == PHOTOMETRIC_YCBCR) fold *= 2;  // as colours may be given for several pixels at once
  const std::uint64_t bits = std::uint64_t{1} * layout.width * layout.height * layout.bits * layout.samples;
  if (bits / 8 / fold > reader.source->bytes.size() && !reader.source->options.accept_truncated) {
    reader.source->truncated();
  }
}

void read_palette(const TiffReader& reader, const Layout& layout, NativeImage& image) {
  std::uint16_t *red = nullptr, *green = nullptr, *blue = nullptr;
  if (TIFFGetField(reader.tiff, TIFFTAG_COLORMAP, &red, &green, &blue) != 1) {
    reader.source->fail("a TIFF without its palette");
  }
  const int count = 1 << layout.bits;
  // Old writers gave 8 bits where there are 16.
  const bool wide = std::any_of(red, red + count, [](int v) { return v > 255; }) ||
                    std::any_of(green, green + count, [](int v) { return v > 255; }) ||
                    std::any_of(blue, blue + count, [](int v) { return v > 255; });
  const auto byte = [wide](std::uint16_t v) { return static_cast<std::uint8_t>(wide ? v >> 8 : v); };
  image.palette = black_palette();
  for (int i = 0; i < count; ++i) image.palette[i] = {byte(red[i]), byte(green[i]), byte(blue[i]), 255};
}

/// Colours that were multiplied by their alpha get back what they were, as Pillow does it.
void divide_by_alpha(Image& image) {
  const int colours = image.channels - 1;
  for (std::size_t at = 0; at < image.pixels.size(); at += static_cast<std::size_t>(image.channels)) {
    const int alpha = image.pixels[at + colours];
    for (int c = 0; c < colours; ++c) {
      std::uint8_t& v = image.pixels[at + c];
      v = static_cast<std::uint8_t>(alpha == 0 ? 0 : std::min(255, 255 * v / alpha));
    }
  }
}

}  // namespace

NativeImage tiff(const Source& source) {
  TiffReader reader;
  reader.open(source);
  const Layout layout = layout_of(reader);
  check_length(reader, layout);
  const bool jpeg = layout.compression == COMPRESSION_JPEG;
  const bool converted = layout.photometric == PHOTOMETRIC_YCBCR && !jpeg;
  if (layout.photometric == PHOTOMETRIC_YCBCR && jpeg) {
    TIFFSetField(reader.tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
  }
  if (!converted && TIFFIsTiled(reader.tiff) != 0 ? TIFFTileSize64(reader.tiff) > kMostTiffBuffer
                                                  : TIFFScanlineSize64(reader.tiff) > kMostTiffBuffer) {
    source.fail("a TIFF whose rows or tiles take more than 1 GiB each");
  }
  const auto orientation = reader.field<std::uint16_t>(TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  TIFFSetField(reader.tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);  // libtiff shall not turn anything

  static constexpr int kBytes[] = {1, 1, 2, 2, 3, 4, 4, 1};  // of each PixelMode
  NativeImage image;
  image.mode = converted ? PixelMode::kRgb : layout.mode;
  image.pixels = Image(layout.width, layout.height, kBytes[static_cast<int>(image.mode)]);
  if (image.mode == PixelMode::kPalette) read_palette(reader, layout, image);
  reader.message.clear();
  const Extent extent = converted                       ? read_converted(reader, layout, image.pixels)
                        : TIFFIsTiled(reader.tiff) != 0 ? read_tiles(reader, layout, image.pixels)
                                                        : read_strips(reader, layout, image.pixels);
  // Some decoders of libtiff tell of damage and go on.
  const bool whole = extent == Extent::kAll && reader.message.empty();
  if (extent == Extent::kNothing || (!whole && !source.options.accept_truncated)) reader.fail();
  if (layout.premultiplied && !converted) divide_by_alpha(image.pixels);
  if (orientation >= 1 && orientation <= 8) image.pixels = oriented(std::move(image.pixels), orientation);
  return image;
}

}  // namespace vicha::decoders
