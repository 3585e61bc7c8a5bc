// Evaluated runs side by side: what a choice (concepts or none) is worth, over several seeds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/recall.h"

namespace vicha {

/// Runs that differ in their seed only, under one name.
struct RunGroup {
  std::string name;
  std::vector<std::filesystem::path> runs;

  /// "with concepts=runs/a,runs/b", or "runs/a": its own name then. Throws UsageError if a name or a run is empty.
  static RunGroup parse(std::string_view text);
};

/// Percent, over the runs of a group.
struct MetricsSpread {
  RetrievalMetrics mean;
  RetrievalMetrics deviation;  ///< sample standard deviation (n - 1); 0 of one run
  RetrievalMetrics margin;     ///< half of Student's 95 % interval of the mean (SeedSpread); 0 of one run
};

struct Comparison {
  struct Group {
    std::string name;
    std::int64_t runs = 0;
    MetricsSpread reranked, itc;
    /// This group minus the first, run by run in the order given; where both have as many runs.
    std::optional<MetricsSpread> reranked_gain, itc_gain;
    /// What its recipe has otherwise than the first group's ("model.concepts.enabled was true, is false"), seeds and
    /// names of files left out.
    std::vector<std::string> differences;
  };
  std::string manifest;
  std::int64_t images = 0, captions = 0;
  RetrievalMetrics chance;
  std::vector<Group> groups;

  /// For a terminal.
  std::string to_table() const;
  std::string to_json() const;
};

/// Reads RUN/eval.json of every run, and the recipes of their last checkpoints where they have such. Throws DataError
/// naming the file if one is missing or damaged, was made without its `itc` part, or if two were made on other sets or
/// by other rankings.
Comparison compare_runs(const std::vector<RunGroup>& groups);

/// "23.1", or "23.1 ± 0.6" of several runs.
std::string format_spread(double mean, double deviation, std::int64_t runs, bool sign = false);

}  // namespace vicha
