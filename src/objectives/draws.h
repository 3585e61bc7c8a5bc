// Every random choice of a step comes through here: generators in training, recorded values in the parity runner.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/random.h"
#include "nn/dropout.h"

namespace vicha {

enum class NegativeSide { kImage, kText };

class Draws {
 public:
  virtual ~Draws() = default;
  /// Order of the patches for MAE, the visible ones first: (B, N) int64, a permutation in each row.
  virtual at::Tensor patch_order(std::int64_t batch, std::int64_t patches) = 0;
  /// One column per row of `weights` (B, B), fp32, with probability in proportion; -1 for a row without any weight. The
  /// numbers decide which sequences are fused, so the host needs them: the one place where a step waits for a GPU.
  /// Images are drawn for texts before texts are drawn for images.
  virtual std::vector<std::int64_t> negatives(const at::Tensor& weights_BB, NegativeSide side) = 0;
  virtual Dropout dropout(double probability) = 0;
};

class RandomDraws : public Draws {
 public:
  explicit RandomDraws(Rng& rng) : rng_(rng) {}
  at::Tensor patch_order(std::int64_t batch, std::int64_t patches) override;
  std::vector<std::int64_t> negatives(const at::Tensor& weights_BB, NegativeSide side) override;
  Dropout dropout(double probability) override { return Dropout(probability, &rng_); }

 private:
  Rng& rng_;
};

}  // namespace vicha
