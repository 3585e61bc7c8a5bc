// Random numbers that depend on nothing but what they are seeded with.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <limits>

namespace vicha {

/// Mixes several numbers (seed, epoch, index …) into one seed; every bit of each counts.
std::uint64_t mix_seed(std::initializer_list<std::uint64_t> parts);

/// xoshiro256++, seeded through splitmix64. A UniformRandomBitGenerator, but use the members below rather than the
/// standard distributions, whose results differ from one library to another.
class Rng {
 public:
  using result_type = std::uint64_t;

  explicit Rng(std::uint64_t seed);
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<std::uint64_t>::max(); }

  std::uint64_t operator()();
  double uniform();  ///< in [0, 1), 53 bits
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  std::uint64_t below(std::uint64_t n);  ///< in [0, n), unbiased; n > 0
  double normal();                       ///< mean 0, deviation 1 (Box–Muller, one value a call)
  bool chance(double probability) { return uniform() < probability; }

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace vicha
