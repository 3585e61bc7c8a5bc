// What `vicha index` found and did, for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "search/clusters.h"
#include "search/index_files.h"

namespace vicha {

struct IndexReport {
  std::int64_t files = 0, pictures = 0;  ///< in the index: pictures are distinct contents
  std::int64_t fresh = 0, changed = 0, moved = 0, removed = 0, unchanged = 0;  ///< files
  std::int64_t embedded = 0, skipped = 0, hidden = 0, others = 0;
  std::vector<SkippedPicture> first_skipped;  ///< some of them
  bool nothing_changed = false;               ///< then nothing was written
  std::optional<RecallReport> recall;         ///< where a search looks at clusters
  std::string calibration;                    ///< in words
  double seconds = 0;
};

/// What became of the files of an index: sets `fresh`, `changed`, `moved`, `removed` and `unchanged`. A content that
/// stood under a name that is gone, and stands under one that is new, has moved.
void count_changes(const std::vector<IndexedFile>& before, const std::vector<IndexedFile>& now, IndexReport& report);

/// "12 pictures new, 1 changed, …".
std::string describe(const IndexReport& report);

}  // namespace vicha
