// AVIF by libavif: the first frame, turned as the file says.
#include <avif/avif.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>

#include "image/native.h"
#include "image/orientation.h"

namespace vicha::decoders {
namespace {

void check(const Source& source, const avifDecoder& decoder, avifResult result) {
  if (result == AVIF_RESULT_OK) return;
  if (result == AVIF_RESULT_TRUNCATED_DATA || result == AVIF_RESULT_IO_ERROR) source.truncated();
  if (result == AVIF_RESULT_NO_CODEC_AVAILABLE) source.fail("an AVIF, and libavif has no decoder here");
  std::string why = decoder.diag.error;
  while (why.ends_with('\n')) why.pop_back();
  source.fail(fmt::format("not a readable AVIF: {}", why.empty() ? avifResultToString(result) : why));
}

/// The format's own rotation, then its mirror, as an EXIF orientation.
int orientation_of(const avifImage& image) {
  const bool mirrored = (image.transformFlags & AVIF_TRANSFORM_IMIR) != 0;
#if AVIF_VERSION_MAJOR >= 1
  const bool sideways = image.imir.axis != 0;
#else
  const bool sideways = image.imir.mode != 0;
#endif
  switch ((image.transformFlags & AVIF_TRANSFORM_IROT) != 0 ? image.irot.angle : 0) {
    case 1:
      return !mirrored ? 8 : sideways ? 7 : 5;
    case 2:
      return !mirrored ? 3 : sideways ? 4 : 2;
    case 3:
      return !mirrored ? 6 : sideways ? 5 : 7;
    default:
      return !mirrored ? 1 : sideways ? 2 : 4;
  }
}

}  // namespace

NativeImage avif(const Source& source) {
  const std::unique_ptr<avifDecoder, void (*)(avifDecoder*)> decoder(avifDecoderCreate(), avifDecoderDestroy);
  if (decoder == nullptr) source.fail("there is no memory to decode an AVIF");
  // Encoders of before 2021 left these out.
  decoder->strictFlags &= ~static_cast<avifStrictFlags>(AVIF_STRICT_PIXI_REQUIRED | AVIF_STRICT_CLAP_VALID);
  decoder->ignoreExif = AVIF_TRUE;
  decoder->ignoreXMP = AVIF_TRUE;
  check(source, *decoder, avifDecoderSetIOMemory(decoder.get(), source.bytes.data(), source.bytes.size()));
  check(source, *decoder, avifDecoderParse(decoder.get()));
  source.check_size(decoder->image->width, decoder->image->height);
  // A frame may be larger than the header says: from here on the limit is that of the decoder of frames.
  decoder->imageSizeLimit = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(source.options.max_pixels, 1, std::int64_t{AVIF_DEFAULT_IMAGE_SIZE_LIMIT}));
  check(source, *decoder, avifDecoderReset(decoder.get()));
  check(source, *decoder, avifDecoderNextImage(decoder.get()));

  const avifImage& frame = *decoder->image;
  source.check_size(frame.width, frame.height);
  const bool alpha = frame.alphaPlane != nullptr;
  NativeImage image;
  image.mode = alpha ? PixelMode::kRgba : PixelMode::kRgb;
  image.pixels = Image(static_cast<int>(frame.width), static_cast<int>(frame.height), alpha ? 4 : 3);
  avifRGBImage rgb;
  avifRGBImageSetDefaults(&rgb, &frame);
  rgb.depth = 8;
  rgb.format = alpha ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
  rgb.pixels = image.pixels.pixels.data();
  rgb.rowBytes = frame.width * static_cast<std::uint32_t>(image.pixels.channels);
  check(source, *decoder, avifImageYUVToRGB(&frame, &rgb));
  image.pixels = oriented(std::move(image.pixels), orientation_of(frame));
  return image;
}

}  // namespace vicha::decoders
