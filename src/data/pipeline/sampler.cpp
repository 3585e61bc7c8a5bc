#include "data/pipeline/sampler.h"

#include <fmt/format.h>

#include <bit>

#include "base/error.h"
#include "base/random.h"

namespace vicha {

std::int64_t permuted(std::int64_t index, std::int64_t n, std::uint64_t key) {
  VICHA_ASSERT(index >= 0 && index < n);
  constexpr std::uint64_t kRounds = 6;
  const int half_bits = (std::bit_width(static_cast<std::uint64_t>(n - 1)) + 1) / 2;
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  auto place = static_cast<std::uint64_t>(index);
  do {  // each walk stays on one cycle of the permutation, so that it meets an index below n, and different ones
    std::uint64_t left = place >> half_bits, right = place & mask;
    for (std::uint64_t round = 0; round < kRounds; ++round) {
      const std::uint64_t mixed = left ^ (mix_seed({key, round, right}) >> 32 & mask);
      left = right;
      right = mixed;
    }
    place = left << half_bits | right;
  } while (place >= static_cast<std::uint64_t>(n));
  return static_cast<std::int64_t>(place);
}

Sampler::Sampler(const SamplerOptions& options) : options_(options) {
  VICHA_ASSERT(options.batch_size > 0 && options.world > 0 && options.rank >= 0 && options.rank < options.world);
  if (batches_per_epoch() == 0) {
    throw DataError("data.manifests",
                    fmt::format("{} samples are fewer than one step takes ({} of each of {} processes)",
                                options.samples, options.batch_size, options.world),
                    "Make data.batch_size smaller or add data");
  }
}

std::int64_t Sampler::sample(std::int64_t epoch, std::int64_t batch, std::int64_t slot) const {
  const std::int64_t place = (batch * options_.world + options_.rank) * options_.batch_size + slot;
  return permuted(place, options_.samples, mix_seed({options_.seed, static_cast<std::uint64_t>(epoch)}));
}

}  // namespace vicha
