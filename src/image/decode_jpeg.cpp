// JPEG by libjpeg-turbo: accurate integer DCT, smooth chroma upsampling (the library's defaults, which Pillow uses too).
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE
#include <memory>

#include <jpeglib.h>

#include <jerror.h>

#include "image/native.h"

namespace vicha::decoders {
namespace {

// A progressive file may name any number of scans, each of which costs a pass over the whole picture.
constexpr int kMaxScans = 500;

/// Everything libjpeg's callbacks and the function that jumps need; lives outside of the frames that longjmp leaves.
struct Decoder {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr input{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "";
  const Source* source = nullptr;
  bool ended = false;     ///< libjpeg asked for bytes beyond the end
  bool too_many = false;  ///< scans
  NativeImage image;

  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&info); }
};

Decoder& of(j_common_ptr info) { return *static_cast<Decoder*>(info->client_data); }
Decoder& of(j_decompress_ptr info) { return *static_cast<Decoder*>(info->client_data); }

[[noreturn]] void on_error(j_common_ptr info) {
  Decoder& decoder = of(info);
  (*info->err->format_message)(info, decoder.message);
  std::longjmp(decoder.jump, 1);
}

boolean on_end(j_decompress_ptr info) {
  Decoder& decoder = of(info);
  decoder.ended = true;
  if (!decoder.source->options.accept_truncated) std::longjmp(decoder.jump, 1);
  // As Pillow does with LOAD_TRUNCATED_IMAGES: pretend that the picture ends here; the rest becomes grey.
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
  Decoder& decoder = of(info);
  if (decoder.info.input_scan_number <= kMaxScans) return;
  decoder.too_many = true;
  std::longjmp(decoder.jump, 1);
}

// The three functions below contain the only frames between setjmp and longjmp: no destructors there.

bool read_header(Decoder& decoder) {
  if (setjmp(decoder.jump) != 0) return false;
  jpeg_create_decompress(&decoder.info);
  decoder.info.src = &decoder.input;
  decoder.info.progress = &decoder.progress;
  jpeg_read_header(&decoder.info, TRUE);
  return true;
}

bool read_pixels(Decoder& decoder) {
  if (setjmp(decoder.jump) != 0) return false;
  jpeg_decompress_struct& info = decoder.info;
  jpeg_start_decompress(&info);
  while (info.output_scanline < info.output_height) {
    JSAMPROW rows[4];
    const int first = static_cast<int>(info.output_scanline);
    const int count = std::min(4, static_cast<int>(info.output_height) - first);
    for (int i = 0; i < count; ++i) rows[i] = decoder.image.pixels.row(first + i);
    jpeg_read_scanlines(&info, rows, static_cast<JDIMENSION>(count));
  }
  jpeg_finish_decompress(&info);
  return true;
}

[[noreturn]] void fail(const Decoder& decoder) {
  if (decoder.too_many) decoder.source->fail("a JPEG of more than 500 scans");
  if (decoder.ended && decoder.message[0] == '\0') decoder.source->truncated();
  decoder.source->fail(std::string("not a readable JPEG: ") + decoder.message);
}

}  // namespace

NativeImage jpeg(const Source& source) {
  const auto decoder = std::make_unique<Decoder>();
  decoder->source = &source;
  jpeg_decompress_struct& info = decoder->info;
  info.client_data = decoder.get();
  info.err = jpeg_std_error(&decoder->errors);
  decoder->errors.error_exit = on_error;
  decoder->errors.output_message = [](j_common_ptr) {};
  decoder->progress.progress_monitor = on_progress;
  decoder->input.next_input_byte = source.bytes.data();
  decoder->input.bytes_in_buffer = source.bytes.size();
  decoder->input.init_source = [](j_decompress_ptr) {};
  decoder->input.fill_input_buffer = on_end;
  decoder->input.skip_input_data = on_skip;
  decoder->input.resync_to_restart = jpeg_resync_to_restart;
  decoder->input.term_source = [](j_decompress_ptr) {};
  if (!read_header(*decoder)) fail(*decoder);

  source.check_size(info.image_width, info.image_height);
  // Every 32 x 32 pixels take at least one Huffman code: a shorter file cannot hold its picture, so make no room for it.
  const std::size_t pixels = static_cast<std::size_t>(info.image_width) * info.image_height;
  if (pixels / (32 * 32 * 8) > source.bytes.size() && info.arith_code == FALSE && !source.options.accept_truncated) {
    source.truncated();
  }
  switch (info.num_components) {
    case 1:
      info.out_color_space = JCS_GRAYSCALE;
      decoder->image.mode = PixelMode::kGrey;
      break;
    case 3:
      info.out_color_space = JCS_RGB;
      decoder->image.mode = PixelMode::kRgb;
      break;
    case 4:
      info.out_color_space = JCS_CMYK;
      decoder->image.mode = PixelMode::kCmyk;
      break;
    default:
      source.fail("a JPEG of " + std::to_string(info.num_components) + " colour components");
  }
  decoder->image.pixels =
      Image(static_cast<int>(info.image_width), static_cast<int>(info.image_height), info.num_components);
  if (!read_pixels(*decoder)) fail(*decoder);
  // Inks are stored inverted by every program that follows Adobe; like Pillow, take it for granted.
  if (decoder->image.mode == PixelMode::kCmyk) {
    for (std::uint8_t& ink : decoder->image.pixels.pixels) ink = static_cast<std::uint8_t>(~ink);
  }
  return std::move(decoder->image);
}

}  // namespace vicha::decoders
