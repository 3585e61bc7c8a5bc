// A hash that stays nearly the same when a picture is scaled, saved again or slightly changed.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

namespace vicha {

/// Of planes [3, side, side], whatever their normalisation: 8 x 8 bits, each whether brightness grows from a cell of a
/// 9 x 8 grid to the next. Never 0, which stands for "not known".
std::uint64_t picture_hash(std::span<const float> planes, std::int64_t side);

/// Bits in which they differ.
inline int hash_distance(std::uint64_t a, std::uint64_t b) { return std::popcount(a ^ b); }

}  // namespace vicha
