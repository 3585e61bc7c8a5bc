// NumPy's .npy files: one array with a small text header (numpy.lib.format, versions 1 to 3).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vicha::store_detail {

struct NpyHeader {
  std::string type;  ///< "<f4": byte order, kind, bytes
  std::vector<std::int64_t> shape;
  std::size_t data = 0;  ///< where the numbers begin
};

/// Of version 1.0, row-major.
std::string encode_npy_header(std::string_view type, const std::vector<std::int64_t>& shape);
/// `file` holds at least the header. Throws DataError naming `where` on anything else, column-major arrays included.
NpyHeader decode_npy_header(std::string_view file, const std::string& where);

}  // namespace vicha::store_detail
