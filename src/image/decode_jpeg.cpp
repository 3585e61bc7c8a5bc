// JPEG by libjpeg-turbo: accurate integer DCT, smooth chroma upsampling (the library's defaults, which Pillow uses
// too).
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <memory>

// clang-format off
#include <jpeglib.h>  // wants <cstdio> before it
#include <jerror.h>
// clang-format on

#include "image/native.h"

namespace vicha::decoders {
namespace {

// A progressive file may name any number of scans, each of which costs a pass over the whole image.
constexpr int kMaxScans = 500;

/// Everything libjpeg's callbacks and the function that jumps need; lives outside of the frames that longjmp leaves.
struct JpegReader {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr input{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "";
  const Source* source = nullptr;
  bool ended = false;     ///< libjpeg wanted bytes beyond the end
  bool too_many = false;  ///< scans
  NativeImage image;

  JpegReader() = default;
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&info); }
};

JpegReader& of(j_common_ptr info) { return *static_cast<JpegReader*>(info->client_data); }
JpegReader& of(j_decompress_ptr info) { return *static_cast<JpegReader*>(info->client_data); }

[[noreturn]] void on_error(j_common_ptr info) {
  JpegReader& reader = of(info);
  (*info->err->format_message)(info, reader.message);
  std::longjmp(reader.jump, 1);
}

boolean on_end(j_decompress_ptr info) {
  JpegReader& reader = of(info);
  reader.ended = true;
  if (!reader.source->options.accept_truncated) std::longjmp(reader.jump, 1);
  // As Pillow does with LOAD_TRUNCATED_IMAGES: pretend that the image ends here; the rest becomes grey.
  static const JOCTET kEndOfImage[] = {0xff, JPEG_EOI};
  info->src->next_input_byte = kEndOfImage;
  info->src->bytes_in_buffer = sizeof kEndOfImage;
  return TRUE;
}

void on_skip(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  if (static_cast<std::size_t>(count) > info->src->bytes_in_buffer) {
    on_end(info);
  } else {
    info->src->next_input_byte += count;
    info->src->bytes_in_buffer -= static_cast<std::size_t>(count);
  }
}

void on_progress(j_common_ptr info) {
  JpegReader& reader = of(info);
  if (reader.info.input_scan_number <= kMaxScans) return;
  reader.too_many = true;
  std::longjmp(reader.jump, 1);
}

// The three functions below contain the only frames between setjmp and longjmp: no destructors there.

bool read_header(JpegReader& reader) {
  if (setjmp(reader.jump) != 0) return false;
  jpeg_create_decompress(&reader.info);
  reader.info.src = &reader.input;
  reader.info.progress = &reader.progress;
  jpeg_read_header(&reader.info, TRUE);
  return true;
}

bool read_pixels(JpegReader& reader) {
  if (setjmp(reader.jump) != 0) return false;
  jpeg_decompress_struct& info = reader.info;
  jpeg_start_decompress(&info);
  if (static_cast<int>(info.output_width) != reader.image.pixels.width ||
      static_cast<int>(info.output_height) != reader.image.pixels.height) {
    return false;  // libjpeg would write beyond the rows
  }
  while (info.output_scanline < info.output_height) {
    JSAMPROW rows[4];
    const int first = static_cast<int>(info.output_scanline);
    const int count = std::min(4, static_cast<int>(info.output_height) - first);
    for (int i = 0; i < count; ++i) rows[i] = reader.image.pixels.row(first + i);
    jpeg_read_scanlines(&info, rows, static_cast<JDIMENSION>(count));
  }
  jpeg_finish_decompress(&info);
  return true;
}

[[noreturn]] void fail(const JpegReader& reader) {
  if (reader.too_many) reader.source->fail("a JPEG of more than 500 scans");
  if (reader.ended && reader.message[0] == '\0') reader.source->truncated();
  reader.source->fail(std::string("not a readable JPEG: ") + reader.message);
}

}  // namespace

NativeImage jpeg(const Source& source) {
  const auto reader = std::make_unique<JpegReader>();
  reader->source = &source;
  jpeg_decompress_struct& info = reader->info;
  info.client_data = reader.get();
  info.err = jpeg_std_error(&reader->errors);
  reader->errors.error_exit = on_error;
  reader->errors.output_message = [](j_common_ptr) {};
  reader->progress.progress_monitor = on_progress;
  reader->input.next_input_byte = source.bytes.data();
  reader->input.bytes_in_buffer = source.bytes.size();
  reader->input.init_source = [](j_decompress_ptr) {};
  reader->input.fill_input_buffer = on_end;
  reader->input.skip_input_data = on_skip;
  reader->input.resync_to_restart = jpeg_resync_to_restart;
  reader->input.term_source = [](j_decompress_ptr) {};
  if (!read_header(*reader)) fail(*reader);

  source.check_size(info.image_width, info.image_height);
  // Every 32 x 32 pixels take at least one Huffman code: a shorter file cannot hold its image, so make no room for
  // it.
  const std::size_t pixels = static_cast<std::size_t>(info.image_width) * info.image_height;
  if (pixels / (32 * 32 * 8) > source.bytes.size() && info.arith_code == FALSE && !source.options.accept_truncated) {
    source.truncated();
  }
  switch (info.num_components) {
    case 1:
      info.out_color_space = JCS_GRAYSCALE;
      reader->image.mode = PixelMode::kGrey;
      break;
    case 3:
      info.out_color_space = JCS_RGB;
      reader->image.mode = PixelMode::kRgb;
      break;
    case 4:
      info.out_color_space = JCS_CMYK;
      reader->image.mode = PixelMode::kCmyk;
      break;
    default:
      source.fail("a JPEG of " + std::to_string(info.num_components) + " colour components");
  }
  const int width = static_cast<int>(info.image_width), height = static_cast<int>(info.image_height);
  int shrink = 1;
  if (const int least = source.options.least_side; least > 0) {
    while (shrink < 4 && std::min(width, height) / (2 * shrink) >= least) shrink *= 2;
  }
  if (shrink > 1) {
    info.scale_num = 1;
    info.scale_denom = static_cast<unsigned>(shrink);
    reader->image.full_width = width;
    reader->image.full_height = height;
    reader->image.shrunk = shrink;
  }
  reader->image.pixels = Image((width + shrink - 1) / shrink, (height + shrink - 1) / shrink, info.num_components);
  if (!read_pixels(*reader)) fail(*reader);
  // Inks are stored inverted by every program that follows Adobe; like Pillow, take it for granted.
  if (reader->image.mode == PixelMode::kCmyk) {
    for (std::uint8_t& ink : reader->image.pixels.pixels) ink = static_cast<std::uint8_t>(~ink);
  }
  return std::move(reader->image);
}

}  // namespace vicha::decoders
