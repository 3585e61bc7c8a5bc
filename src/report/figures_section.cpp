// What a task of its own kind was found to be worth: figures along the way as curves, at the end as a table.
#include <fmt/format.h>

#include <algorithm>

#include "report/chart.h"
#include "report/chart_axis.h"
#include "report/sections.h"

namespace vicha {
namespace {

/// What the task calls it; the JSON's own key where it says nothing.
Figure figure_of(const TaskKind* kind, const std::string& key) {
  if (kind != nullptr) {
    for (const Figure& figure : kind->figures) {
      if (figure.key == key) return figure;
    }
  }
  return {key, key};
}

/// Those that the task names, in its order, then the others.
std::vector<std::pair<Figure, double>> in_order(const TaskKind* kind, const RunFigures& found) {
  std::vector<std::pair<Figure, double>> named, others;
  for (const Figure& figure : kind != nullptr ? kind->figures : std::vector<Figure>()) {
    if (const double* value = found.find(figure.key)) named.emplace_back(figure, *value);
  }
  for (const auto& [key, value] : found.figures) {
    const bool is_named = std::ranges::any_of(named, [&](const auto& pair) { return pair.first.key == key; });
    if (!is_named) others.emplace_back(figure_of(kind, key), value);
  }
  named.insert(named.end(), others.begin(), others.end());
  return named;
}

std::string with_measure(const Figure& figure, double value) {
  const std::string number = figure.measure == "%" ? format_percent(value) : format_number(value);
  return figure.measure.empty() ? number : number + " " + figure.measure;
}

void draw_along(Html& html, const ReportData& data) {
  const std::vector<RunFiguresAt>& along = *data.figures_along.value;
  const auto grid = html.element("div", {{"class", "charts"}});
  int count = 0;
  for (const auto& [figure, last] : in_order(data.kind, along.back().found)) {
    Chart chart{.id = fmt::format("chart-figure-{}", ++count),
                .title = figure.title,
                .summary = with_measure(figure, last),
                .y_label = figure.measure,
                .x_high = static_cast<double>(std::max(data.metrics.steps, along.back().step)),
                .from_zero = figure.measure == "%"};
    ChartSeries series;
    for (const RunFiguresAt& at : along) {
      if (const double* value = at.found.find(figure.key))
        series.line.push_back({static_cast<double>(at.step), *value});
    }
    series.points = series.line;
    chart.description = fmt::format("{} against steps, {} evaluations; {} at the last.", figure.title,
                                    series.line.size(), with_measure(figure, last));
    chart.series = {std::move(series)};
    draw_chart(html, chart);
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> headline_figures(const ReportData& data) {
  constexpr std::size_t kHeadlines = 2;
  std::vector<std::pair<std::string, std::string>> lines;
  if (!data.figures.value) return lines;
  for (const auto& [figure, value] : in_order(data.kind, *data.figures.value)) {
    if (lines.size() < kHeadlines) lines.emplace_back(figure.title, with_measure(figure, value));
  }
  return lines;
}

void write_figures(Html& html, const ReportData& data) {
  const auto section = html.element("section", {{"id", "figures"}});
  html.leaf("h2", {}, "Evaluation");
  if (data.figures_along.value && !data.figures_along.value->empty()) {
    draw_along(html, data);
  } else if (!data.figures_along.problem.empty()) {
    write_absence(html, data.figures_along.problem);
  }
  if (!data.figures.value) {
    write_absence(html, data.figures.problem);
    return;
  }
  const RunFigures& found = *data.figures.value;
  {
    const auto scroll = html.element("div", {{"class", "scroll"}});
    const auto table = html.element("table");
    html.leaf("caption", {}, found.manifest.empty() ? "At the end" : "At the end, on " + found.manifest);
    for (const auto& [figure, value] : in_order(data.kind, found)) {
      const auto row = html.element("tr");
      html.leaf("th", {{"scope", "row"}}, figure.title);
      html.leaf("td", {}, with_measure(figure, value));
    }
  }
  if (!found.checkpoint.empty()) html.leaf("p", {{"class", "small"}}, "Checkpoint: " + found.checkpoint + ".");
}

}  // namespace vicha
