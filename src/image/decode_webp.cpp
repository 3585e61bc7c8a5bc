// WebP by libwebp: still images whole, animations by their first frame on a transparent canvas.
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "image/native.h"

namespace vicha::decoders {
namespace {

/// Decodes one bitstream into `out` (RGB or RGBA by `channels`); with accept_truncated, as many rows as there are.
void decode_into(const Source& source, const std::uint8_t* data, std::size_t size, std::uint8_t* out, int stride,
                 std::size_t out_size, int channels) {
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) source.fail("libwebp is of another version than its headers");
  config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {out, stride, out_size};
  if (!source.options.accept_truncated) {
    const VP8StatusCode status = WebPDecode(data, size, &config);
    if (status == VP8_STATUS_NOT_ENOUGH_DATA) source.truncated();
    if (status != VP8_STATUS_OK) source.fail("not a readable WebP: the bitstream is damaged");
    return;
  }
  const std::unique_ptr<WebPIDecoder, void (*)(WebPIDecoder*)> decoder(WebPIDecode(nullptr, 0, &config), WebPIDelete);
  if (decoder == nullptr) source.fail("not a readable WebP");
  const VP8StatusCode status = WebPIUpdate(decoder.get(), data, size);
  if (status != VP8_STATUS_OK && status != VP8_STATUS_SUSPENDED) {
    source.fail("not a readable WebP: the bitstream is damaged");
  }
}

NativeImage empty(int width, int height, bool alpha) {
  NativeImage image;
  image.mode = alpha ? PixelMode::kRgba : PixelMode::kRgb;
  image.pixels = Image(width, height, alpha ? 4 : 3);
  return image;
}

NativeImage first_frame(const Source& source, bool alpha) {
  const WebPData data{source.bytes.data(), source.bytes.size()};
  const std::unique_ptr<WebPDemuxer, void (*)(WebPDemuxer*)> demuxer(WebPDemux(&data), WebPDemuxDelete);
  if (demuxer == nullptr) source.fail("not a readable WebP: the animation is damaged or incomplete");
  const auto width = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH);
  const auto height = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT);
  source.check_size(width, height);
  struct Frame : WebPIterator {
    ~Frame() { WebPDemuxReleaseIterator(this); }
  } frame{};
  if (WebPDemuxGetFrame(demuxer.get(), 1, &frame) == 0) source.fail("an animated WebP without a frame");
  NativeImage image = empty(static_cast<int>(width), static_cast<int>(height), alpha);
  Image& pixels = image.pixels;
  if (frame.x_offset < 0 || frame.y_offset < 0 || frame.width <= 0 || frame.height <= 0 ||
      frame.width > pixels.width - frame.x_offset || frame.height > pixels.height - frame.y_offset) {
    source.fail("an animated WebP whose first frame does not fit");
  }
  const std::size_t offset = static_cast<std::size_t>(frame.x_offset) * pixels.channels;
  std::uint8_t* out = pixels.row(frame.y_offset) + offset;
  decode_into(source, frame.fragment.bytes, frame.fragment.size, out, pixels.width * pixels.channels,
              static_cast<std::size_t>(pixels.pixels.data() + pixels.pixels.size() - out), pixels.channels);
  return image;
}

}  // namespace

NativeImage webp(const Source& source) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(source.bytes.data(), source.bytes.size(), &features);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA) source.truncated();
  if (status != VP8_STATUS_OK) source.fail("not a readable WebP: the header is damaged");
  source.check_size(features.width, features.height);
  if (features.has_animation != 0) return first_frame(source, features.has_alpha != 0);
  NativeImage image = empty(features.width, features.height, features.has_alpha != 0);
  Image& pixels = image.pixels;
  decode_into(source, source.bytes.data(), source.bytes.size(), pixels.pixels.data(), pixels.width * pixels.channels,
              pixels.pixels.size(), pixels.channels);
  return image;
}

}  // namespace vicha::decoders
