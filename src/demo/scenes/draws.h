// Draws of scenes, equal on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace vicha::demo {

/// A whole number from `least` to `most`.
inline int number_from(Rng& rng, int least, int most) {
  VICHA_ASSERT(least <= most);
  return least + static_cast<int>(rng.below(static_cast<std::uint64_t>(most - least) + 1));
}

inline bool toss(Rng& rng) { return rng.chance(0.5); }

template <class T>
const T& one_of(Rng& rng, const std::vector<T>& items) {
  VICHA_ASSERT(!items.empty());
  return items[rng.below(items.size())];
}

/// `count` different ones of the items, in random order.
template <class T>
std::vector<T> some_of(Rng& rng, std::vector<T> items, std::size_t count) {
  VICHA_ASSERT(count <= items.size());
  for (std::size_t i = 0; i < count; ++i) std::swap(items[i], items[i + rng.below(items.size() - i)]);
  items.resize(count);
  return items;
}

/// `count` different numbers below `n`, in random order.
inline std::vector<std::size_t> some_below(Rng& rng, std::size_t n, std::size_t count) {
  std::vector<std::size_t> numbers(n);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  return some_of(rng, std::move(numbers), count);
}

}  // namespace vicha::demo
