// Keeping the pairs of image and caption that fit each other best (method, section 6.4).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "concepts/match/similarity.h"
#include "data/tools/subset_share.h"

namespace vicha {

/// A pair is kept if every rule that is given keeps it. Each rule looks at all pairs of the manifest, so that their
/// order does not matter. Between equal similarities the earlier pair wins. Pairs of unknown similarity are never kept
/// and count for no share.
struct FilterRules {
  std::optional<Share> keep = {};  ///< the best of all pairs: int(p n) of them
  /// The best of each image's captions, over all records that name the image: max(1, int(p n)) of them. (The public
  /// code's int(p n) loses images with one caption.)
  std::optional<Share> keep_captions = {};
  std::optional<double> min_sim = {};
};

/// Of each pair. Memory beside the result: 8 bytes a pair.
std::vector<bool> select_pairs(const ManifestPairs& pairs, const FilterRules& rules);

struct FilterOutput {
  bool keep_order = false;  ///< of the manifest; otherwise by `sim`, best first, equal ones in the manifest's order
  /// A row for each pair, as the public tools have it. Otherwise records stay records, with the captions that were
  /// kept.
  bool split_captions = false;
};

struct FilterReport {
  std::int64_t records = 0, pairs = 0, images = 0;  ///< of the manifest
  std::int64_t kept_rows = 0, kept_pairs = 0, kept_images = 0;
};

/// Writes the records that have a kept pair, all their fields, and their similarity:
///   caption a string: `sim`, its similarity;
///   caption a list:   the captions that were kept, in their order; `sims`, the similarity of each; `sim`, the best.
/// Atomically; `out` may be the manifest itself. Records are read from the file again: memory 8 bytes a row. Throws
/// DataError if nothing was kept or the file has changed since the pairs were read.
FilterReport write_filtered(const ManifestPairs& pairs, const std::vector<bool>& kept, const std::filesystem::path& out,
                            const FilterOutput& options = {});

}  // namespace vicha
