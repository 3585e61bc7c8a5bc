// How deep lists and objects stand in one another.
#pragma once

#include <cstddef>
#include <string_view>

namespace vicha {

/// More levels than any file of ours or of others needs.
inline constexpr std::size_t kMostJsonLevels = 64;

/// Whether brackets of the JSON text are nested deeper than `levels`; those in strings do not count. Our parser copes
/// with any depth, but values are copied, compared and printed by recursion, so that 0.1 MB of "[" could exhaust the
/// stack: what a file holds is asked this before.
bool nests_deeper(std::string_view json, std::size_t levels = kMostJsonLevels);

}  // namespace vicha
