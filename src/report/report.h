// `vicha report RUN`: one page of a run, to be viewed, sent and printed. It loads nothing from elsewhere.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/comparison.h"

namespace vicha {

struct ReportOptions {
  std::filesystem::path run;          ///< folder of `vicha pretrain --out`
  std::string device = "auto";        ///< where the reconstructions are computed, see choose_device
  std::filesystem::path output = {};  ///< empty: RUN/report.html
  /// Evaluated runs to set beside this one, in groups that differ in their seeds only; this run is the first group
  /// where none of them holds it.
  std::vector<RunGroup> compare = {};
};

/// Writes the page and returns its path. Reads RUN/metrics.jsonl and, where there are such, RUN/evaluations.jsonl,
/// RUN/eval.json and the last checkpoint (its recipe, and its model for the reconstructions): a section whose file is
/// missing or damaged says so and what makes it.
///
/// Throws DataError if there is no run, its metrics.jsonl is missing or damaged or a run to compare with was not
/// evaluated, UsageError on a device that is not
/// there, Error if the page cannot be written; an older page then stays as it was.
std::filesystem::path write_report(const ReportOptions& options);

}  // namespace vicha
