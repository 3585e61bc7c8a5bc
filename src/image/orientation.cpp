#include "image/orientation.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/error.h"

namespace vicha {
namespace {

using Bytes = std::span<const std::uint8_t>;
using std::string_view_literals::operator""sv;

bool has(Bytes bytes, std::size_t at, std::string_view text) {
  return at <= bytes.size() && text.size() <= bytes.size() - at &&
         std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

/// `count` bytes as a number; 0 beyond the end.
std::uint32_t number(Bytes bytes, std::size_t at, int count, bool big_endian) {
  std::uint32_t value = 0;
  if (at > bytes.size() || static_cast<std::size_t>(count) > bytes.size() - at) return 0;
  for (int i = 0; i < count; ++i) value = value << 8 | bytes[at + (big_endian ? i : count - 1 - i)];
  return value;
}

/// From `at`, at most `size` bytes.
Bytes part(Bytes bytes, std::size_t at, std::size_t size) {
  return at > bytes.size() ? Bytes{} : bytes.subspan(at, std::min(size, bytes.size() - at));
}

/// EXIF is a small TIFF file; the tag stands in its first directory.
int orientation_of(Bytes exif) {
  if (has(exif, 0, "Exif\0\0"sv)) exif = exif.subspan(6);
  const bool big_endian = has(exif, 0, "MM\0*"sv);
  if (!big_endian && !has(exif, 0, "II*\0"sv)) return 1;
  const std::size_t directory = number(exif, 4, 4, big_endian);
  const std::uint32_t entries = number(exif, directory, 2, big_endian);
  for (std::uint32_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + std::size_t{12} * i;
    if (entry + 12 > exif.size()) break;
    constexpr std::uint32_t kOrientation = 0x0112, kShort = 3, kLong = 4;
    if (number(exif, entry, 2, big_endian) != kOrientation) continue;
    const std::uint32_t type = number(exif, entry + 2, 2, big_endian);
    if (type != kShort && type != kLong) break;
    const std::uint32_t value = number(exif, entry + 8, type == kShort ? 2 : 4, big_endian);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Bytes exif_of_jpeg(Bytes bytes) {
  for (std::size_t at = 2; at + 4 <= bytes.size();) {
    if (bytes[at] != 0xff) return {};
    const std::uint8_t marker = bytes[at + 1];
    if (marker == 0xff) {  // padding
      ++at;
      continue;
    }
    if (marker == 0xda || marker == 0xd9) return {};  // the pixels, the end
    const std::size_t size = number(bytes, at + 2, 2, true);
    if (marker == 0xe1 && has(bytes, at + 4, "Exif\0\0"sv))
      return part(bytes, at + 4, std::max<std::size_t>(size, 2) - 2);
    at += 2 + std::max<std::size_t>(size, 2);
  }
  return {};
}

Bytes exif_of_png(Bytes bytes) {
  for (std::size_t at = 8; at + 8 <= bytes.size();) {
    const std::size_t size = number(bytes, at, 4, true);
    if (has(bytes, at + 4, "eXIf")) return part(bytes, at + 8, size);
    at += 12 + size;
  }
  return {};
}

Bytes exif_of_webp(Bytes bytes) {
  for (std::size_t at = 12; at + 8 <= bytes.size();) {
    const std::size_t size = number(bytes, at + 4, 4, false);
    if (has(bytes, at, "EXIF")) return part(bytes, at + 8, size);
    at += 8 + size + size % 2;
  }
  return {};
}

}  // namespace

int exif_orientation(Bytes bytes) {
  if (has(bytes, 0, "\xff\xd8\xff")) return orientation_of(exif_of_jpeg(bytes));
  if (has(bytes, 0, "\x89PNG\r\n\x1a\n")) return orientation_of(exif_of_png(bytes));
  if (has(bytes, 0, "RIFF") && has(bytes, 8, "WEBP")) return orientation_of(exif_of_webp(bytes));
  return 1;
}

Image oriented(Image image, int orientation) {
  VICHA_ASSERT(orientation >= 1 && orientation <= 8);
  if (orientation == 1) return image;
  const bool on_its_side = orientation >= 5;
  const int width = image.width, height = image.height, channels = image.channels;
  Image turned(on_its_side ? height : width, on_its_side ? width : height, channels);
  for (int y = 0; y < turned.height; ++y) {
    std::uint8_t* out = turned.row(y);
    for (int x = 0; x < turned.width; ++x, out += channels) {
      // Where the pixel lies in the file.
      int from_x = on_its_side ? y : x, from_y = on_its_side ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) from_x = width - 1 - from_x;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) from_y = height - 1 - from_y;
      std::copy_n(image.row(from_y) + static_cast<std::ptrdiff_t>(from_x) * channels, channels, out);
    }
  }
  return turned;
}

}  // namespace vicha
