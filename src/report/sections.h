// The report's sections, in the order of the page. Each writes one <section>; where what it shows is missing, a
// sentence that says what makes it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "report/comparison.h"
#include "report/html.h"
#include "report/run_folder.h"
#include "tasks/host/model_files.h"

namespace vicha {

/// Something of a run that may not be there.
template <class T>
struct Found {
  std::optional<T> value;
  std::string problem;  ///< why not: a sentence for the reader
};

struct ReportData {
  std::filesystem::path run;
  std::string name;        ///< the folder's
  std::string date;        ///< of the last step
  std::string task_title;  ///< TaskKind::title within a sentence: "pretraining"
  RunMetrics metrics;
  Found<AnyOptions<TaskRecipe>> recipe;
  Found<LoadedModel> loaded;
  Found<std::vector<RunEvaluation>> evaluations;
  Found<RunRetrieval> retrieval;
  const TaskKind* kind = nullptr;  ///< of the recipe, where there is one
  /// The run is judged by retrieval: its task has no evaluation of its own, or its result has that form. Otherwise by
  /// whatever figures its task's evaluation gives.
  bool by_retrieval = true;
  Found<RunFigures> figures;
  Found<std::vector<RunFiguresAt>> figures_along;  ///< without a problem where there is no such file
  std::optional<Comparison> comparison;            ///< with the runs that the report sets beside this one
};

void write_summary(Html& html, const ReportData& data);
void write_curves(Html& html, const ReportData& data);
void write_evaluations(Html& html, const ReportData& data);
void write_retrieval(Html& html, const ReportData& data);
void write_figures(Html& html, const ReportData& data);
/// Name and value of what the page's head says of them.
std::vector<std::pair<std::string, std::string>> headline_figures(const ReportData& data);
/// Nothing where no runs were named.
void write_comparison(Html& html, const ReportData& data);
void write_gallery(Html& html, const ReportData& data);
/// Nothing where the task has no objectives.
void write_reconstructions(Html& html, ReportData& data);

/// "17.1": percent with as many digits as count.
std::string format_percent(double value);
/// A paragraph that stands where something is missing.
void write_absence(Html& html, const std::string& problem);

}  // namespace vicha
