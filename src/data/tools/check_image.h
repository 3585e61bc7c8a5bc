// One image file, looked at closely.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace vicha {

enum class ImageFileState : std::uint8_t {
  kGood,
  kMissing,
  kUnreadable,  ///< a folder, or the system refuses
  kUnknownFormat,
  kTruncated,      ///< ends early; decodes with `data.truncated = "accept"` only
  kWrongChecksum,  ///< so does this, to pixels that may be wrong
  kCorrupt,
};

struct ImageCheck {
  ImageFileState state = ImageFileState::kMissing;
  std::array<std::uint64_t, 2> digest{};  ///< of the file's bytes: the first half of its SHA-256
  std::int64_t bytes = 0;
  int width = 0, height = 0;  ///< 0 where nothing could be decoded
  int orientation = 1;        ///< of its EXIF, 2 … 8 where that turns or mirrors it
};

/// Reads and decodes the whole file. Throws nothing that a file could cause.
ImageCheck check_image(std::string_view path);

}  // namespace vicha
