#include <png.h>
#include <webp/encode.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

// clang-format off
#include <jpeglib.h>  // wants <cstdio> before it
// clang-format on

#include "base/error.h"
#include "image/decode.h"

namespace vicha {
namespace {

// Encoders fail only for lack of memory or by a wrong call; each jump passes frames without destructors.

struct PngWriter {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const Image* image = nullptr;
  std::string out;
  bool full = false;  ///< an exception must not pass through libpng
  std::vector<png_bytep> rows;

  PngWriter() = default;
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;
  ~PngWriter() { png_destroy_write_struct(&png, &info); }
};

void append(png_structp png, png_bytep data, std::size_t size) {
  auto& writer = *static_cast<PngWriter*>(png_get_io_ptr(png));
  try {
    writer.out.append(reinterpret_cast<const char*>(data), size);
  } catch (const std::bad_alloc&) {
    writer.full = true;
  }
  if (writer.full) png_error(png, "out of memory");
}

bool write_png(PngWriter& writer) {
  writer.png = png_create_write_struct(
      PNG_LIBPNG_VER_STRING, nullptr, [](png_structp png, png_const_charp) { png_longjmp(png, 1); },
      [](png_structp, png_const_charp) {});
  if (writer.png == nullptr) return false;
  if (setjmp(png_jmpbuf(writer.png)) != 0) return false;
  writer.info = png_create_info_struct(writer.png);
  if (writer.info == nullptr) return false;
  static constexpr int kTypes[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                   PNG_COLOR_TYPE_RGB_ALPHA};
  const Image& image = *writer.image;
  png_set_write_fn(writer.png, &writer, append, nullptr);
  png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height),
               8, kTypes[image.channels], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_compression_level(writer.png, 6);
  png_write_info(writer.png, writer.info);
  png_write_image(writer.png, writer.rows.data());
  png_write_end(writer.png, nullptr);
  return true;
}

struct JpegWriter {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  std::jmp_buf jump;
  const Image* image = nullptr;
  unsigned char* data = nullptr;
  unsigned long size = 0;

  JpegWriter() = default;
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;
  ~JpegWriter() {
    jpeg_destroy_compress(&info);
    std::free(data);
  }
};

bool write_jpeg(JpegWriter& writer, int quality) {
  jpeg_compress_struct& info = writer.info;
  if (setjmp(writer.jump) != 0) return false;
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, &writer.data, &writer.size);
  const Image& image = *writer.image;
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = image.channels;
  info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);  // 4:2:0
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<JSAMPROW>(image.row(static_cast<int>(info.next_scanline)));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  return true;
}

}  // namespace

std::string encode_png(const Image& image) {
  VICHA_ASSERT(!image.empty() && image.channels >= 1 && image.channels <= 4);
  PngWriter writer;
  writer.image = &image;
  for (int y = 0; y < image.height; ++y) writer.rows.push_back(const_cast<png_bytep>(image.row(y)));
  if (!write_png(writer)) throw Error("a PNG could not be made: out of memory");
  return std::move(writer.out);
}

std::string encode_jpeg(const Image& image, int quality) {
  VICHA_ASSERT(!image.empty() && (image.channels == 1 || image.channels == 3));
  if (image.width > JPEG_MAX_DIMENSION || image.height > JPEG_MAX_DIMENSION) {
    throw Error("a picture of more than 65,500 pixels a side cannot be a JPEG");
  }
  const auto writer = std::make_unique<JpegWriter>();
  writer->image = &image;
  writer->info.client_data = writer.get();
  writer->info.err = jpeg_std_error(&writer->errors);
  writer->errors.error_exit = [](j_common_ptr info) {
    std::longjmp(static_cast<JpegWriter*>(info->client_data)->jump, 1);
  };
  writer->errors.output_message = [](j_common_ptr) {};
  if (!write_jpeg(*writer, quality)) throw Error("a JPEG could not be made: out of memory");
  return {reinterpret_cast<const char*>(writer->data), writer->size};
}

std::string encode_webp(const Image& image, int quality) {
  VICHA_ASSERT(!image.empty() && (image.channels == 3 || image.channels == 4));
  const auto quality_factor = static_cast<float>(quality);
  const int stride = image.width * image.channels;
  std::uint8_t* data = nullptr;
  const std::size_t size =
      image.channels == 3
          ? WebPEncodeRGB(image.pixels.data(), image.width, image.height, stride, quality_factor, &data)
          : WebPEncodeRGBA(image.pixels.data(), image.width, image.height, stride, quality_factor, &data);
  const std::unique_ptr<std::uint8_t, void (*)(void*)> owned(data, WebPFree);
  if (size == 0) throw Error("a WebP could not be made: out of memory, or more than 16,383 pixels a side");
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace vicha
