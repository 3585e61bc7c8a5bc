// What the runs of a lab found, row by row: OUT/table.json, and the same for a terminal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ablation/plan.h"
#include "ablation/run_record.h"
#include "report/statistics.h"

namespace vicha {

/// A row against its baseline, seed by seed; only seeds that both have.
struct PairedDifference {
  SeedSpread seeds;                      ///< of the differences; its interval is Student's
  std::optional<Interval> queries = {};  ///< bootstrap over the test queries, of recalls
};

struct MeasuredRow {
  struct Cell {
    std::vector<std::optional<double>> values;  ///< one a seed of the lab; nothing where its run did not end well
    SeedSpread spread;
    std::optional<PairedDifference> difference;
  };
  struct Failure {
    std::int64_t seed;
    std::string reason;
  };

  PlannedRow plan;
  std::vector<Cell> cells;  ///< one a measure
  std::vector<Failure> failures;
  std::int64_t missing = 0;  ///< runs not done yet
  std::vector<std::string> folders;
  SeedSpread seconds, samples_per_s, steps;
  std::int64_t parameters = 0;
};

struct LabTable {
  Lab lab;
  std::vector<Measure> measures;
  std::vector<MeasuredRow> rows;

  /// All runs are there and none failed.
  bool is_complete() const;
  const MeasuredRow* baseline_of(const MeasuredRow& row) const;
  std::string to_text() const;
  /// {"title", "complete", "seeds", "budget", "evaluation", "measures", "rows": [{"name", "title", "axes", "baseline",
  /// "runs", "measures": {KEY: {"values", "mean", "deviation", "interval", "difference"}}, "seconds", …}]}.
  std::string to_json() const;
};

struct TableSources {
  const Lab& lab;
  const LabPlan& plan;
  const std::vector<Measure>& measures;
  const std::string& evaluation;                       ///< digest
  const std::map<std::string, std::string>& failures;  ///< of runs that left no record, by the run's name
};

/// Reads the runs below OUT. A run that cannot be read is a failed one.
LabTable gather_table(const TableSources& sources, const std::filesystem::path& out);

/// What a query gains, averaged over seeds: for each direction that the measure looks at, a number a query, percent,
/// whose means' sum is the difference of the measure. `pairs`: ranks of the row and of its baseline for each seed.
/// Empty where the measure is of no ranks.
std::vector<std::vector<double>> query_gains(
    const std::string& measure, const std::vector<std::pair<const EvaluatedRun*, const EvaluatedRun*>>& pairs);

}  // namespace vicha
