// Files of gzip.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vicha {

/// Whether the bytes begin as a gzip file does.
bool is_gzip(std::string_view data);

/// What a gzip file, or several one after the other, holds. Throws DataError naming `name` if it is damaged, cut off,
/// or unpacks to more than `limit` bytes.
std::string gunzip(std::string_view data, std::string_view name, std::size_t limit);

}  // namespace vicha
