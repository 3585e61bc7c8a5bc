// The configurations and batches that both sides of a comparison are timed on (bench/peer/bench_peer.py).
#pragma once

#include <string>

#include "base/random.h"
#include "models/batch.h"
#include "models/model_options.h"
#include "objectives/objective_set.h"

namespace vicha::bench {

struct SyntheticConfig {
  ModelOptions model;
  ObjectivesOptions objectives;
};
/// "small" or "base"; throws UsageError on other names.
SyntheticConfig synthetic_config(const std::string& name, std::int64_t image_res, std::int64_t queue);

/// [CLS] and random words of the given lengths, padded to `width` (0: the longest).
Tokens synthetic_tokens(const TextOptions& text, std::int64_t count, std::int64_t shortest, std::int64_t longest,
                        std::int64_t width, Rng& rng);
/// Captions of 8..25 tokens and concept strings of 10..20; random pixels; no targets.
Batch synthetic_batch(const SyntheticConfig& config, std::int64_t size, Rng& rng);

}  // namespace vicha::bench
