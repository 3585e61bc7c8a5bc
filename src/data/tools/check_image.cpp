#include "data/tools/check_image.h"

#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "base/sha256.h"
#include "image/decode.h"
#include "image/orientation.h"

namespace vicha {
namespace {

std::uint64_t from_hex(std::string_view digits) {
  std::uint64_t value = 0;
  for (const char c : digits) value = value << 4 | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  return value;
}

void note_size(const Image& image, ImageCheck& check) {
  check.width = image.width;
  check.height = image.height;
}

void decode(const std::string& content, std::string_view path, ImageCheck& check) {
  const std::span<const std::uint8_t> bytes{reinterpret_cast<const std::uint8_t*>(content.data()), content.size()};
  if (!is_known_format(bytes)) {
    check.state = content.empty() ? ImageFileState::kCorrupt : ImageFileState::kUnknownFormat;
    return;
  }
  try {
    note_size(decode_rgb(bytes, path), check);
    check.state = ImageFileState::kGood;
    check.orientation = exif_orientation(bytes);
    return;
  } catch (const ImageError& error) {
    check.state = ImageFileState::kCorrupt;
    if (error.fault() == ImageFault::kDamaged) return;
    try {
      note_size(decode_rgb(bytes, path, {.accept_truncated = true}), check);
      check.state =
          error.fault() == ImageFault::kEndsEarly ? ImageFileState::kTruncated : ImageFileState::kWrongChecksum;
    } catch (const ImageError&) {
    }
  }
}

}  // namespace

ImageCheck check_image(std::string_view path) {
  ImageCheck check;
  std::error_code error;
  const bool there = std::filesystem::exists(path, error);
  if (!there && !error) return check;
  std::string content;
  try {
    content = read_file(path);
  } catch (const DataError&) {
    check.state = ImageFileState::kUnreadable;
    return check;
  }
  check.bytes = static_cast<std::int64_t>(content.size());
  const std::string digest = sha256_hex(content);
  check.digest = {from_hex(std::string_view(digest).substr(0, 16)), from_hex(std::string_view(digest).substr(16, 16))};
  decode(content, path, check);
  return check;
}

}  // namespace vicha
