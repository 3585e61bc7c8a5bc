// `vicha index`: an index made, or brought up to date.
//
// What a kill leaves is an index as it was, and beside it a journal of what was embedded; repeated, the same index
// comes out as without the kill, bit for bit. All parts depend on the files, the model and the calibration alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "concepts/store/nearest.h"
#include "search/calibrate_index.h"
#include "search/index_files.h"
#include "search/index_report.h"
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

/// Throws UsageError if `out` is a folder with other things in it or cannot be made, or an index of another source
/// (unless `replace` or `rebuild`); DataError if it is an index of
/// another model, naming both, or if no picture can be read.
IndexReport build_index(const std::filesystem::path& source, const std::filesystem::path& out, SearchModel& model,
                        const IndexOptions& options);

/// The model that an index was made with, for commands that are not told; nothing where there is no index.
std::optional<std::string> model_of_index(const std::filesystem::path& index);

}  // namespace vicha
