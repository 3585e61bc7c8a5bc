// Late interaction: two sides are kept as many vectors each (words; patches, regions, tags), and compared by what each
// of the one finds best among those of the other (ColBERT, FILIP).
// T rows of queries, G groups of N keys, X runs of queries, E common embedding.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/bert.h"

namespace vicha {

/// The words of packed captions: all rows but [CLS].
struct CaptionWords {
  std::vector<std::int64_t> rows;     ///< of the pack's states
  std::vector<std::int64_t> of_text;  ///< how many each caption has
};
CaptionWords caption_words(const PackedText& pack);

/// Products that exist at one time: 4 MiB of fp32.
inline constexpr std::int64_t kBestMatchTile = 1 << 20;

/// For each query (T, E) the largest product with a key of each group (G, N, E): (T, G), fp32. `real` (G): the first
/// keys of each group that count, at least one; empty: all. The gradient goes to the largest alone, to one of equals.
/// Of the T x G x N products no more than `tile` exist at once (or one query's), in the backward pass too.
at::Tensor best_matches(const at::Tensor& queries_TE, const at::Tensor& keys_GNE,
                        const std::vector<std::int64_t>& real = {}, std::int64_t tile = kBestMatchTile);

/// Means over runs of rows: values (T, G), the runs' lengths (T in all) -> (X, G); 0 for a run without rows.
at::Tensor run_means(const at::Tensor& values_TG, const std::vector<std::int64_t>& lengths);

}  // namespace vicha
