// Retrieval: along the way as curves, at the end as a table.
#include <fmt/format.h>

#include <algorithm>

#include "report/chart.h"
#include "report/chart_axis.h"
#include "report/recall_table.h"
#include "report/sections.h"

namespace vicha {
namespace {

using Way = Recalls RetrievalMetrics::*;

void draw_way(Html& html, const ReportData& data, Way way, const std::string& id, const std::string& title) {
  const std::vector<RunEvaluation>& evaluations = *data.evaluations.value;
  Chart chart{.id = id,
              .title = title,
              .y_label = "%",
              .x_high = static_cast<double>(std::max(data.metrics.steps, evaluations.back().step)),
              .from_zero = true};
  for (const NamedRecall& recall : kNamedRecalls) {
    ChartSeries series{.label = recall.name};
    for (const RunEvaluation& evaluation : evaluations) {
      series.line.push_back({static_cast<double>(evaluation.step), (evaluation.reranked.*way).*recall.value});
    }
    series.points = series.line;
    chart.series.push_back(std::move(series));
  }
  ChartSeries itc{.label = "ITC@10"};
  for (const RunEvaluation& evaluation : evaluations) {
    if (evaluation.itc) itc.line.push_back({static_cast<double>(evaluation.step), ((*evaluation.itc).*way).r10});
  }
  if (!itc.line.empty()) chart.series.push_back(std::move(itc));
  const Recalls& last = evaluations.back().reranked.*way;
  chart.summary =
      fmt::format("{} / {} / {}", format_percent(last.r1), format_percent(last.r5), format_percent(last.r10));
  chart.description =
      fmt::format("{} against steps, {} evaluations; at the last R@1 {} %, R@5 {} %, R@10 {} %.", title,
                  evaluations.size(), format_percent(last.r1), format_percent(last.r5), format_percent(last.r10));
  // Chance is of the final set; it belongs here only where that is the same set.
  if (data.retrieval.value && data.retrieval.value->chance &&
      data.retrieval.value->manifest == evaluations.back().manifest && !evaluations.back().manifest.empty()) {
    const double chance = ((*data.retrieval.value->chance).*way).r10;
    chart.levels.push_back({chance, "chance"});
  }
  draw_chart(html, chart);
}

}  // namespace

void write_evaluations(Html& html, const ReportData& data) {
  const auto section = html.element("section", {{"id", "evaluations"}});
  html.leaf("h2", {}, "Retrieval along the way");
  if (!data.evaluations.value || data.evaluations.value->empty()) {
    write_absence(html,
                  data.evaluations.value ? "evaluations.jsonl holds no evaluation yet." : data.evaluations.problem);
    return;
  }
  const std::string& manifest = data.evaluations.value->back().manifest;
  html.leaf(
      "p", {},
      fmt::format("Zero-shot retrieval of the checkpoints{}: R@1, R@5 and R@10 in percent, re-ranked by {}; ITC@10 "
                  "is R@10 of ITC alone, the dashed line R@10 of chance where it is known.",
                  manifest.empty() ? "" : " on " + manifest,
                  data.evaluations.value->back().ranking == "joint" ? "ITC and ITM together" : "ITM"));
  const auto grid = html.element("div", {{"class", "charts"}});
  draw_way(html, data, &RetrievalMetrics::image, "chart-t2i", "Text → picture");
  draw_way(html, data, &RetrievalMetrics::text, "chart-i2t", "Picture → text");
}

void write_retrieval(Html& html, const ReportData& data) {
  const auto section = html.element("section", {{"id", "retrieval"}});
  html.leaf("h2", {}, "Retrieval at the end");
  if (!data.retrieval.value) {
    write_absence(html, data.retrieval.problem);
    return;
  }
  const RunRetrieval& result = *data.retrieval.value;
  html.leaf("p", {},
            fmt::format("Zero-shot on {}{} pictures and {} captions, all against all.",
                        result.manifest.empty() ? "" : result.manifest + ": ", format_count(result.images),
                        format_count(result.captions)));
  {
    RecallTable table(html, "Share of queries with a right answer among the best 1, 5 and 10, in percent");
    const bool joint = result.ranking == "joint";
    const std::string matching = fmt::format("ITC, then ITM of the {} best", result.k_test);
    const std::string both = fmt::format("ITC and ITM of the {} best together", result.k_test);
    table.add(result.k_test == 0 ? "ITC" : joint ? both : matching, result.reranked, "best");
    if (result.k_test > 0) {
      if (result.itc) table.add("ITC alone", *result.itc, "");
      if (joint && result.matching) table.add(matching, *result.matching, "");
      if (!joint && result.joint) table.add(both, *result.joint, "");
    }
    if (result.chance) table.add("Chance", *result.chance, "chance");
  }
  std::string note;
  if (!result.checkpoint.empty()) note += "Checkpoint: " + result.checkpoint + ". ";
  if (result.pairs > 0) {
    note +=
        fmt::format("{} pairs matched in {} s ({} pairs/s).", format_count(result.pairs), format_number(result.seconds),
                    format_number(result.seconds > 0 ? static_cast<double>(result.pairs) / result.seconds : 0));
  }
  if (!note.empty()) html.leaf("p", {{"class", "small"}}, note);
}

}  // namespace vicha
