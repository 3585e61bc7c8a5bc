#include "image/tiff_file.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>

namespace vicha::decoders {
namespace {

tmsize_t on_read(thandle_t handle, void* out, tmsize_t count) {
  auto& reader = *static_cast<TiffReader*>(handle);
  const std::span<const std::uint8_t> bytes = reader.source->bytes;
  const std::uint64_t left = reader.position < bytes.size() ? bytes.size() - reader.position : 0;
  const std::uint64_t taken = std::min<std::uint64_t>(left, static_cast<std::uint64_t>(std::max<tmsize_t>(count, 0)));
  if (taken < static_cast<std::uint64_t>(count)) reader.ended = true;
  std::memcpy(out, bytes.data() + reader.position * (taken > 0), taken);
  reader.position += taken;
  return static_cast<tmsize_t>(taken);
}

toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
  auto& reader = *static_cast<TiffReader*>(handle);
  if (whence == SEEK_CUR) offset += reader.position;
  if (whence == SEEK_END) offset += reader.source->bytes.size();
  return reader.position = offset;
}

int on_error(TIFF*, void* handle, const char*, const char* format, va_list arguments) {
  auto& reader = *static_cast<TiffReader*>(handle);
  char text[256];
  std::vsnprintf(text, sizeof text, format, arguments);
  if (reader.message.empty()) reader.message = text;
  return 1;
}

}  // namespace

void TiffReader::open(const Source& given) {
  source = &given;
  const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(),
                                                                             TIFFOpenOptionsFree);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), static_cast<tmsize_t>(kMostTiffBuffer));
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, this);
  TIFFOpenOptionsSetWarningHandlerExtR(
      options.get(), [](TIFF*, void*, const char*, const char*, va_list) { return 1; }, nullptr);
  tiff = TIFFClientOpenExt(
      "picture", "rm", this, on_read, [](thandle_t, void*, tmsize_t) { return tmsize_t{0}; }, on_seek,
      [](thandle_t) { return 0; },
      [](thandle_t handle) { return toff_t{static_cast<TiffReader*>(handle)->source->bytes.size()}; },
      [](thandle_t, void**, toff_t*) { return 0; }, [](thandle_t, void*, toff_t) {}, options.get());
  if (tiff == nullptr) fail();
}

void TiffReader::fail() const {
  if (ended) source->truncated();
  source->fail("not a readable TIFF: " + message);
}

}  // namespace vicha::decoders
