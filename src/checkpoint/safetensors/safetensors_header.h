// The JSON header of a safetensors file, parsed strictly.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/safetensors/safetensors.h"

namespace vicha {

struct SafetensorsEntry {
  TensorInfo info;
  std::uint64_t begin = 0, end = 0;  ///< bytes, counted from the end of the header; end − begin fits the shape
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  ///< in the header's order
  Metadata metadata;
};

/// Throws DataError naming `where` (and the tensor) on anything that is not exactly the format: other JSON types,
/// unknown or missing fields, duplicate names, unknown types, sizes that overflow or do not fit the bytes.
SafetensorsHeader parse_safetensors_header(const std::string& text, const std::string& where);

}  // namespace vicha
