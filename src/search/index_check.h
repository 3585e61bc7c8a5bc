// Whether the parts of an index are what was written: by their sums, which `vicha index` looks at for all parts, and a
// search for those that are quickly read.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "search/calibration.h"
#include "search/codes.h"
#include "search/index_files.h"

namespace vicha {

/// A search asks of larger parts nothing but their length: reading them would take longer than the search.
inline constexpr std::uint64_t kQuicklyRead = std::uint64_t{64} << 20;

/// What the parts of one index have in common: a hash of files.jsonl and of the model.
std::uint64_t build_of(std::string_view lines, const SourceWeights& weights);
std::uint64_t sum_of(std::string_view text);

// Each throws DamagedPart naming the part.
void require_right_lines(const IndexPaths& paths, std::string_view lines, const IndexDescription& description);
void require_right_codes(const fs::path& file, const Codes& codes);
/// Every block of an embedding store.
void require_right_store(const fs::path& file);
/// background.emb, whole: (b, E).
at::Tensor read_background(const fs::path& file, std::int64_t width);
/// Held against the sum in the description, where there is one and it has a sum: earlier programs wrote none.
Calibration read_calibration(const fs::path& file, const IndexDescription* description);

}  // namespace vicha
