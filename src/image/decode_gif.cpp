// GIF by giflib: the first frame, laid onto the canvas as Pillow does.
#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "image/native.h"

namespace vicha::decoders {
namespace {

struct GifReader {
  const Source* source;
  std::size_t position = 0;
  bool ended = false;
};

int on_read(GifFileType* gif, GifByteType* out, int count) {
  auto& reader = *static_cast<GifReader*>(gif->UserData);
  const std::size_t left = reader.source->bytes.size() - reader.position;
  const std::size_t taken = std::min(left, static_cast<std::size_t>(std::max(count, 0)));
  if (taken < static_cast<std::size_t>(count)) reader.ended = true;
  std::memcpy(out, reader.source->bytes.data() + reader.position, taken);
  reader.position += taken;
  return static_cast<int>(taken);
}

[[noreturn]] void fail(const GifReader& reader, const char* what) {
  if (reader.ended) reader.source->truncated();
  reader.source->fail(std::string("not a readable GIF: ") + what);
}

/// Reads the records before the first image; gives the transparent index if one is set.
std::optional<std::uint8_t> find_frame(GifFileType* gif, const GifReader& reader) {
  std::optional<std::uint8_t> transparent;
  for (;;) {
    GifRecordType record;
    if (DGifGetRecordType(gif, &record) == GIF_ERROR) fail(reader, "a record is damaged");
    if (record == TERMINATE_RECORD_TYPE) fail(reader, "there is no picture in it");
    if (record == IMAGE_DESC_RECORD_TYPE) break;
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) fail(reader, "an extension is damaged");
    if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr && block[0] >= 4 && (block[1] & 1) != 0) {
      transparent = block[4];
    }
    while (block != nullptr) {
      if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) fail(reader, "an extension is damaged");
    }
  }
  if (DGifGetImageDesc(gif) == GIF_ERROR) fail(reader, "the picture's header is damaged");
  return transparent;
}

}  // namespace

NativeImage gif(const Source& source) {
  GifReader reader{&source};
  int error = 0;
  const auto close = [](GifFileType* gif) { DGifCloseFile(gif, nullptr); };
  const std::unique_ptr<GifFileType, decltype(close)> file(DGifOpen(&reader, on_read, &error), close);
  if (file == nullptr) fail(reader, "the header is damaged");
  GifFileType* gif = file.get();
  const std::optional<std::uint8_t> transparent = find_frame(gif, reader);

  const GifImageDesc& frame = gif->Image;
  if (frame.Width <= 0 || frame.Height <= 0) source.fail("a GIF without pixels");
  // A frame that sticks out makes the canvas larger.
  const int width = std::max(gif->SWidth, frame.Left + frame.Width);
  const int height = std::max(gif->SHeight, frame.Top + frame.Height);
  source.check_size(width, height);

  NativeImage image;
  image.mode = PixelMode::kPalette;
  if (const ColorMapObject* colors = frame.ColorMap != nullptr ? frame.ColorMap : gif->SColorMap) {
    image.palette = black_palette();
    for (int i = 0; i < std::min(colors->ColorCount, 256); ++i) {
      image.palette[i] = {colors->Colors[i].Red, colors->Colors[i].Green, colors->Colors[i].Blue, 255};
    }
  } else {
    image.palette = grey_ramp();
  }
  image.pixels = Image(width, height, 1);
  if (transparent) {
    image.palette[*transparent][3] = 0;
    std::fill(image.pixels.pixels.begin(), image.pixels.pixels.end(), *transparent);
  }

  static constexpr int kStart[] = {0, 4, 2, 1}, kStep[] = {8, 8, 4, 2};  // the four passes of an interlaced image
  const int passes = frame.Interlace ? 4 : 1;
  for (int pass = 0; pass < passes; ++pass) {
    const int step = frame.Interlace ? kStep[pass] : 1;
    for (int y = frame.Interlace ? kStart[pass] : 0; y < frame.Height; y += step) {
      if (DGifGetLine(gif, image.pixels.row(frame.Top + y) + frame.Left, frame.Width) == GIF_ERROR) {
        if (source.options.accept_truncated && reader.ended) return image;
        fail(reader, "the pixels are damaged");
      }
    }
  }
  return image;
}

}  // namespace vicha::decoders
