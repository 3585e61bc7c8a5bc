// `vicha index`: an index made, or brought up to date.
//
// What a kill leaves is an index as it was, and beside it a journal of what was embedded; repeated, the same index
// comes out as without the kill, bit for bit. All parts depend on the files, the model and the calibration alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "concepts/store/nearest.h"
#include "search/calibrate_index.h"
#include "search/clusters.h"
#include "search/index_files.h"
#include "search/search_model.h"

namespace vicha {

struct IndexOptions {
  ListOptions list;            ///< `leave_out` is the index, always
  CalibrateOptions calibrate;  ///< without a manifest, a calibration by captions that is there stays
  std::int64_t threads = 0, batch = 0;
  bool replace = false;   ///< of another source; its pictures take the place of those that were there
  bool rebuild = false;   ///< whatever is there counts for nothing
  bool read_all = false;  ///< files are read even where size and time of change say that they are the same
  Approximate approximate = Approximate::kAuto;  ///< kAuto: clusters beyond a million pictures
  double recall = 0.98;                          ///< of the ten nearest, that a search by clusters should find
};

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

/// Throws UsageError if `out` is a folder with other things in it or cannot be made, or an index of another source
/// (unless `replace` or `rebuild`); DataError if it is an index of
/// another model, naming both, or if no picture can be read.
IndexReport build_index(const std::filesystem::path& source, const std::filesystem::path& out, SearchModel& model,
                        const IndexOptions& options);

/// The model that an index was made with, for commands that are not told; nothing where there is no index.
std::optional<std::string> model_of_index(const std::filesystem::path& index);

/// "12 pictures new, 1 changed, …".
std::string describe(const IndexReport& report);

}  // namespace vicha
