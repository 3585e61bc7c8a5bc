// A TIFF in memory, as libtiff reads it. Used by decode_tiff.cpp only.
#pragma once

#include <tiffio.h>

#include <cstdint>
#include <string>

#include "image/native.h"

namespace vicha::decoders {

inline constexpr std::uint64_t kMostTiffBuffer = std::uint64_t{1} << 30;  ///< bytes of a row or a tile, and the like

struct TiffReader {
  const Source* source = nullptr;
  std::uint64_t position = 0;
  bool ended = false;  ///< libtiff wanted bytes beyond the end
  std::string message;
  TIFF* tiff = nullptr;

  TiffReader() = default;
  TiffReader(const TiffReader&) = delete;
  TiffReader& operator=(const TiffReader&) = delete;
  ~TiffReader() {
    if (tiff != nullptr) TIFFClose(tiff);
  }
  /// Throws ImageError if it is no TIFF.
  void open(const Source& given);
  /// Throws ImageError with what libtiff has said.
  [[noreturn]] void fail() const;
  /// The value of a tag, or the standard's; `standard` if neither is there.
  template <class T>
  T field(std::uint32_t tag, T standard) const {
    T value = standard;
    return TIFFGetFieldDefaulted(tiff, tag, &value) == 1 ? value : standard;
  }
};

}  // namespace vicha::decoders
