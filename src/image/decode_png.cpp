// PNG by libpng, without any of its colour transformations: the file's samples, as Pillow takes them.
#include <fmt/format.h>
#include <png.h>

#include <csetjmp>
#include <cstring>
#include <memory>
#include <vector>

#include "image/native.h"

namespace vicha::decoders {
namespace {

struct PngReader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const Source* source = nullptr;
  std::size_t position = 0;
  bool ended = false;  ///< libpng wanted bytes beyond the end
  char message[128] = "";
  NativeImage image;
  std::vector<png_bytep> rows;

  PngReader() = default;
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto& reader = *static_cast<PngReader*>(png_get_error_ptr(png));
  std::strncpy(reader.message, message, sizeof reader.message - 1);
  png_longjmp(png, 1);
}

void on_read(png_structp png, png_bytep out, std::size_t count) {
  auto& reader = *static_cast<PngReader*>(png_get_io_ptr(png));
  const std::span<const std::uint8_t> bytes = reader.source->bytes;
  if (count > bytes.size() - reader.position) {
    reader.ended = true;
    png_error(png, "the file ends too early");
  }
  std::memcpy(out, bytes.data() + reader.position, count);
  reader.position += count;
}

// The two functions below contain the only frames between setjmp and longjmp: no destructors there.

/// Texts, profiles and the like, which are not used: a small file may claim gigabytes of them.
constexpr png_byte kPassedOver[] = "iTXt\0tEXt\0zTXt\0iCCP\0sPLT\0pCAL\0eXIf";

bool read_header(PngReader& reader) {
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, [](png_structp, png_const_charp) {});
  if (reader.png == nullptr) return false;
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) return false;
  png_set_read_fn(reader.png, &reader, on_read);
  png_set_user_limits(reader.png, 0x7fffffff, 0x7fffffff);  // Source::check_size is what limits
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, kPassedOver, sizeof(kPassedOver) / 5);
  if (reader.source->options.accept_truncated) {
    png_set_crc_action(reader.png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
    png_set_compression_buffer_size(reader.png, 64);  // what is lost at the end
  }
  png_read_info(reader.png, reader.info);
  return true;
}

bool read_pixels(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_read_image(reader.png, reader.rows.data());
  return true;
}

[[noreturn]] void fail(const PngReader& reader) {
  if (reader.ended) reader.source->truncated();
  const std::string_view message = reader.message;
  if (message.find("CRC error") != std::string_view::npos) reader.source->wrong_checksum(message);
  reader.source->fail(fmt::format("not a readable PNG: {}", message));
}

void read_palette(PngReader& reader) {
  png_colorp colors = nullptr;
  int count = 0;
  png_get_PLTE(reader.png, reader.info, &colors, &count);
  Palette& palette = reader.image.palette;
  palette = black_palette();
  for (int i = 0; i < std::min(count, 256); ++i) palette[i] = {colors[i].red, colors[i].green, colors[i].blue, 255};
  png_bytep alphas = nullptr;
  int alpha_count = 0;
  if (png_get_tRNS(reader.png, reader.info, &alphas, &alpha_count, nullptr) != 0 && alphas != nullptr) {
    for (int i = 0; i < std::min(alpha_count, 256); ++i) palette[i][3] = alphas[i];
  }
}

void read_transparent_color(PngReader& reader, bool grey) {
  png_color_16p color = nullptr;
  if (png_get_tRNS(reader.png, reader.info, nullptr, nullptr, &color) == 0 || color == nullptr) return;
  std::uint16_t value = color->gray;
  if (reader.image.mode == PixelMode::kBilevel && value != 0) value = 255;  // Pillow scales this depth's value only
  using Key = std::array<std::uint16_t, 3>;
  reader.image.transparent = grey ? Key{value, value, value} : Key{color->red, color->green, color->blue};
}

}  // namespace

NativeImage png(const Source& source) {
  const auto reader = std::make_unique<PngReader>();
  reader->source = &source;
  if (!read_header(*reader)) fail(*reader);
  png_structp png = reader->png;
  png_infop info = reader->info;
  const auto width = static_cast<int>(png_get_image_width(png, info));
  const auto height = static_cast<int>(png_get_image_height(png, info));
  source.check_size(width, height);

  // Deflate shrinks at most 1032-fold: a file shorter than that cannot hold its pixels, so make no room for them.
  if (png_get_rowbytes(png, info) * static_cast<std::size_t>(height) / 1032 > source.bytes.size() &&
      !source.options.accept_truncated) {
    source.truncated();
  }

  const int depth = png_get_bit_depth(png, info);
  NativeImage& image = reader->image;
  switch (png_get_color_type(png, info)) {
    case PNG_COLOR_TYPE_PALETTE:
      image.mode = PixelMode::kPalette;
      read_palette(*reader);
      break;
    case PNG_COLOR_TYPE_GRAY:
      image.mode = depth == 16 ? PixelMode::kGrey16 : depth == 1 ? PixelMode::kBilevel : PixelMode::kGrey;
      read_transparent_color(*reader, true);
      break;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
      image.mode = PixelMode::kGreyAlpha;
      break;
    case PNG_COLOR_TYPE_RGB:
      image.mode = PixelMode::kRgb;
      read_transparent_color(*reader, false);
      break;
    case PNG_COLOR_TYPE_RGB_ALPHA:
      image.mode = PixelMode::kRgba;
      break;
    default:
      source.fail("a PNG of an unknown colour type");
  }
  if (depth < 8) {
    if (image.mode == PixelMode::kPalette) {
      png_set_packing(png);
    } else {
      png_set_expand_gray_1_2_4_to_8(png);
    }
  } else if (depth == 16) {
    if (image.mode == PixelMode::kGrey16) {
      png_set_swap(png);
    } else {
      png_set_strip_16(png);
    }
  }
  png_set_interlace_handling(png);
  png_read_update_info(png, info);

  static constexpr int kBytes[] = {1, 1, 2, 2, 3, 4, 4, 1};  // of each PixelMode
  const int channels = kBytes[static_cast<int>(image.mode)];
  if (png_get_rowbytes(png, info) != static_cast<std::size_t>(width) * channels)
    source.fail("a PNG of a strange layout");
  image.pixels = Image(width, height, channels);
  reader->rows.resize(height);
  for (int y = 0; y < height; ++y) reader->rows[y] = image.pixels.row(y);
  // What follows the last row (text, time, the end mark) is not read.
  if (!read_pixels(*reader) && !source.options.accept_truncated) fail(*reader);
  return std::move(image);
}

}  // namespace vicha::decoders
