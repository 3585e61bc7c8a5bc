// Dropout without stored masks: what is dropped follows from a seed, so the backward pass works it out again.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/random.h"

namespace vicha {

/// One use of dropout: `probability` 0 keeps everything.
struct DropoutDraw {
  double probability = 0.0;
  std::uint64_t seed = 0;

  /// A draw of random_bits below this drops the element.
  std::uint32_t threshold() const { return static_cast<std::uint32_t>(probability * 4294967296.0); }
  float scale() const { return static_cast<float>(1.0 / (1.0 - probability)); }
  std::uint32_t row_seed(std::int64_t row) const {
    const std::uint64_t mixed =
        (seed + static_cast<std::uint64_t>(row) * 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL;
    return static_cast<std::uint32_t>(mixed >> 32) ^ static_cast<std::uint32_t>(mixed);
  }
};

/// Hands a fresh seed to every use. A default one never drops: evaluation.
class Dropout {
 public:
  Dropout() = default;
  Dropout(double probability, Rng* rng) : probability_(probability), rng_(rng) {}
  DropoutDraw draw() const {
    if (rng_ == nullptr || probability_ == 0.0) return {};
    return {probability_, (*rng_)()};
  }

 private:
  double probability_ = 0.0;
  Rng* rng_ = nullptr;
};

/// x with elements dropped and the others scaled; x itself where the probability is 0.
at::Tensor apply_dropout(const at::Tensor& x, const DropoutDraw& draw);

}  // namespace vicha
