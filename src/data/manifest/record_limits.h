// How long the text of one record may be.
#pragma once

#include <cstddef>

namespace vicha {

/// Bytes, of a record of a manifest and of a line that stands for one: far more than any has, and what a file without
/// line ends can make a reader hold.
inline constexpr std::size_t kMostRecordBytes = std::size_t{4} << 20;

}  // namespace vicha
