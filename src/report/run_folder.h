// What a run has left in its folder, read for the report.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/recall.h"
#include "report/chart_curve.h"
#include "tasks/retrieval/retrieval.h"

namespace vicha {

/// RUN/metrics.jsonl (train/metrics.h) as curves over steps. Values that were NaN or infinite are left out.
struct RunMetrics {
  using NamedCurve = std::pair<std::string, Curve>;

  std::int64_t steps = 0;  ///< of the last line
  std::int64_t epoch = 0;
  std::int64_t skipped = 0;
  double seconds = 0.0;
  Curve lr, samples_per_s, data_wait;
  std::vector<NamedCurve> losses, measures;  ///< in the order of their first appearance
};

/// Throws DataError if the file is missing, holds no step, or a line (but half a last one, of a run that is being
/// written) is not a step's record.
RunMetrics read_run_metrics(const std::filesystem::path& file);

/// One line of RUN/evaluations.jsonl.
struct RunEvaluation {
  std::int64_t step = 0;
  std::string manifest, ranking;
  RetrievalMetrics reranked;
  std::optional<RetrievalMetrics> itc;
};
/// Throws DataError naming file and line.
std::vector<RunEvaluation> read_run_evaluations(const std::filesystem::path& file);

/// RUN/eval.json, as RetrievalResult::to_json and `vicha eval retrieval --out` write it.
struct RunRetrieval {
  std::string ranking;  ///< RetrievalResult::ranking
  RetrievalMetrics reranked;
  std::optional<RetrievalMetrics> itc, matching, joint, chance;
  std::int64_t images = 0, captions = 0, k_test = 0, pairs = 0;
  double seconds = 0.0;
  std::string manifest, checkpoint;
  std::vector<RetrievalExample> text_queries, image_queries;
};
/// Throws DataError naming file and field.
RunRetrieval read_run_retrieval(const std::filesystem::path& file);
/// Whether the file is a result of that form, as far as it can be read.
bool holds_retrieval(const std::filesystem::path& file);

/// The numbers of another task's evaluation, by their place in the JSON ("accuracy", "classes.red"); lists are left
/// out.
struct RunFigures {
  std::vector<std::pair<std::string, double>> figures;  ///< in the order of the JSON
  std::string manifest, checkpoint;                     ///< "" where it does not say

  const double* find(std::string_view key) const;  ///< nullptr where there is none
};
/// RUN/eval.json. Throws DataError if it is not a JSON object.
RunFigures read_run_figures(const std::filesystem::path& file);

/// One line of RUN/evaluations.jsonl.
struct RunFiguresAt {
  std::int64_t step = 0;
  RunFigures found;
};
/// Ascending by step. Throws DataError naming file and line.
std::vector<RunFiguresAt> read_run_figures_along(const std::filesystem::path& file);

}  // namespace vicha
