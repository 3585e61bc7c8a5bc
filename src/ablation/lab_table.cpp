#include "ablation/lab_table.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"

namespace vicha {
namespace {

/// A direction of retrieval, the k of its recall, and its weight in the measure.
struct RankTerm {
  std::string way;
  std::int64_t k;
  double weight;
};

std::vector<RankTerm> rank_terms(const std::string& measure) {
  std::vector<RankTerm> terms;
  for (const char* way : {"text_to_image", "image_to_text"}) {
    for (const std::int64_t k : {1, 5, 10}) {
      if (measure == "mean") terms.push_back({way, k, 1.0 / 6});
      if (measure == std::string(way) + ".r" + std::to_string(k)) terms.push_back({way, k, 1.0});
    }
  }
  return terms;
}

const std::vector<std::int64_t>* ranks_of(const EvaluatedRun& run, const std::string& way) {
  const auto found = run.ranks.find(way);
  return found == run.ranks.end() || found->second.empty() ? nullptr : &found->second;
}

/// The lab's runs as they are found on disk.
class Gatherer {
 public:
  Gatherer(const TableSources& sources, const fs::path& out) : s_(sources) {
    for (const PlannedRun& run : s_.plan.runs) read(run, out / "runs" / run.name);
  }

  LabTable table() const {
    LabTable table{.lab = s_.lab, .measures = s_.measures, .rows = {}};
    for (const PlannedRow& row : s_.plan.rows) table.rows.push_back(measured(row));
    return table;
  }

 private:
  struct Found {
    RunRecord record;
    std::optional<EvaluatedRun> evaluated;
    std::string failure;
  };

  void read(const PlannedRun& run, const fs::path& folder) {
    Found& found = found_.emplace_back();
    if (!run.recipe) {
      found.failure = printable(run.refusal);
      return;
    }
    if (const auto told = s_.failures.find(run.name); told != s_.failures.end()) found.failure = told->second;
    const auto record = RunRecord::read(folder);
    if (!record || record->digest != run.digest) return;
    found.record = *record;
    found.failure = record->failure;
    if (!found.failure.empty() || record->evaluation != s_.evaluation) return;
    try {
      found.evaluated = read_figures(folder, s_.measures);
    } catch (const Error& error) {
      found.failure = printable(error.what());
    }
  }

  MeasuredRow measured(const PlannedRow& row) const {
    MeasuredRow result;
    result.plan = row;
    std::vector<double> seconds, rates, steps;
    for (std::size_t seed = 0; seed < row.runs.size(); ++seed) {
      const PlannedRun& run = s_.plan.runs[row.runs[seed]];
      const Found& found = found_[row.runs[seed]];
      result.folders.push_back("runs/" + run.name);
      if (!found.failure.empty()) {
        result.failures.push_back({run.seed, found.failure});
      } else if (!found.evaluated) {
        ++result.missing;
      }
      if (!found.evaluated) continue;
      seconds.push_back(found.record.seconds);
      rates.push_back(found.record.samples_per_s);
      steps.push_back(static_cast<double>(found.record.steps));
      result.parameters = found.record.parameters;
    }
    result.seconds = spread_over_seeds(seconds);
    result.samples_per_s = spread_over_seeds(rates);
    result.steps = spread_over_seeds(steps);
    for (const Measure& measure : s_.measures) result.cells.push_back(cell(row, measure.key));
    return result;
  }

  MeasuredRow::Cell cell(const PlannedRow& row, const std::string& measure) const {
    MeasuredRow::Cell cell;
    std::vector<double> values, differences;
    std::vector<std::pair<const EvaluatedRun*, const EvaluatedRun*>> pairs;
    for (std::size_t seed = 0; seed < row.runs.size(); ++seed) {
      const auto& own = found_[row.runs[seed]].evaluated;
      if (!own) {
        cell.values.emplace_back();
        continue;
      }
      const double value = own->figures.at(measure);
      cell.values.emplace_back(value);
      values.push_back(value);
      if (!row.baseline) continue;
      const auto& base = found_[s_.plan.rows[*row.baseline].runs[seed]].evaluated;
      if (!base) continue;
      differences.push_back(value - base->figures.at(measure));
      pairs.emplace_back(&*own, &*base);
    }
    cell.spread = spread_over_seeds(values);
    if (!differences.empty()) {
      cell.difference =
          PairedDifference{spread_over_seeds(differences), bootstrap_over_queries(query_gains(measure, pairs))};
    }
    return cell;
  }

  const TableSources& s_;
  std::vector<Found> found_;
};

}  // namespace

std::vector<std::vector<double>> query_gains(
    const std::string& measure, const std::vector<std::pair<const EvaluatedRun*, const EvaluatedRun*>>& pairs) {
  std::map<std::string, std::vector<double>> gains;
  for (const RankTerm& term : rank_terms(measure)) {
    for (const auto& [own, base] : pairs) {
      const auto* ours = ranks_of(*own, term.way);
      const auto* theirs = ranks_of(*base, term.way);
      if (ours == nullptr || theirs == nullptr || ours->size() != theirs->size()) return {};
      std::vector<double>& sum = gains[term.way];
      sum.resize(ours->size());
      if (sum.size() != ours->size()) return {};
      const double share = 100.0 * term.weight / static_cast<double>(pairs.size());
      for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] += share * (static_cast<double>((*ours)[i] <= term.k) - static_cast<double>((*theirs)[i] <= term.k));
      }
    }
  }
  std::vector<std::vector<double>> strata;
  for (auto& [way, sum] : gains) strata.push_back(std::move(sum));
  return strata;
}

LabTable gather_table(const TableSources& sources, const fs::path& out) { return Gatherer(sources, out).table(); }

bool LabTable::is_complete() const {
  return std::ranges::all_of(rows, [](const MeasuredRow& row) { return row.failures.empty() && row.missing == 0; });
}

const MeasuredRow* LabTable::baseline_of(const MeasuredRow& row) const {
  return row.plan.baseline ? &rows[*row.plan.baseline] : nullptr;
}

}  // namespace vicha
