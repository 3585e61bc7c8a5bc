// "Did you mean": the known name that is closest to one that is not.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace vicha {

/// Insertions, deletions, replacements and swaps of neighbours that turn one string (bytes) into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The nearest of `known` dotted names ("itc.queue_size"): a name that is right but stands in another section counts as
/// one edit. "" if nothing is known. Equally near: the first.
std::string nearest_name(std::string_view name, std::span<const std::string> known);

}  // namespace vicha
