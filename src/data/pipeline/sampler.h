// In which order the samples of an epoch come, and which process gets which.
#pragma once

#include <cstdint>

namespace vicha {

/// A random order of 0 … n - 1, one for each key: the result is what stands at `index`. Needs no memory and
/// no state: a keyed permutation (Feistel network) of the next power of four, walked until it falls below n.
std::int64_t permuted(std::int64_t index, std::int64_t n, std::uint64_t key);

struct SamplerOptions {
  std::int64_t samples = 0;
  std::int64_t batch_size = 1;  ///< of one process
  std::uint64_t seed = 0;
  std::int64_t rank = 0, world = 1;
};

/// Each epoch has its own order of all samples. A step takes the next batch_size * world of them, rank 0 the first
/// batch_size and so on, so the union over processes depends on their product only. What does not fill a step at the
/// end of an epoch is dropped; no sample comes twice.
class Sampler {
 public:
  /// Throws DataError if there are not enough samples for one step.
  explicit Sampler(const SamplerOptions& options);

  std::int64_t batches_per_epoch() const { return options_.samples / (options_.batch_size * options_.world); }
  std::int64_t sample(std::int64_t epoch, std::int64_t batch, std::int64_t slot) const;
  const SamplerOptions& options() const { return options_; }

 private:
  SamplerOptions options_;
};

}  // namespace vicha
