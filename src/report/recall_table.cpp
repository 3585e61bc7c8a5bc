#include "report/recall_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/sections.h"

namespace vicha {

RecallTable::RecallTable(Html& html, std::string_view caption)
    : html_(html), scroll_(html.element("div", {{"class", "scroll"}})), table_(html.element("table")) {
  html.leaf("caption", {}, caption);
  const auto head = html.element("thead");
  {
    const auto row = html.element("tr");
    html.leaf("td", {}, "");
    html.leaf("th", {{"scope", "colgroup"}, {"colspan", "3"}}, "Text → picture");
    html.leaf("th", {{"scope", "colgroup"}, {"colspan", "3"}}, "Picture → text");
  }
  const auto row = html.element("tr");
  html.leaf("td", {}, "");
  for (int way = 0; way < 2; ++way) {
    for (const NamedRecall& recall : kNamedRecalls) html.leaf("th", {{"scope", "col"}}, recall.name);
  }
}

void RecallTable::add_row(const std::string& name, std::string_view kind, const Fill& fill) {
  const auto row = html_.element("tr", {{"class", std::string(kind)}});
  html_.leaf("th", {{"scope", "row"}}, name);
  for_each_recall([&](auto way, auto at) {
    const Cell cell = fill(way, at);
    if (cell.share < 0) {
      html_.leaf("td", {}, cell.text);
    } else {
      html_.leaf("td", {{"style", fmt::format("--share:{:.1f}%", std::clamp(cell.share, 0.0, 100.0))}}, cell.text);
    }
  });
}

void RecallTable::add(const std::string& name, const RetrievalMetrics& metrics, std::string_view kind) {
  add_row(name, kind, [&](auto way, auto at) {
    const double value = (metrics.*way).*at;
    return Cell{format_percent(value), value};
  });
}

void RecallTable::add(const std::string& name, const MetricsSpread& metrics, std::int64_t runs, std::string_view kind) {
  add_row(name, kind, [&](auto way, auto at) {
    const double mean = (metrics.mean.*way).*at;
    return Cell{format_spread(mean, (metrics.deviation.*way).*at, runs), mean};
  });
}

void RecallTable::add_gain(const std::string& name, const MetricsSpread& metrics, std::int64_t runs) {
  add_row(name, "chance", [&](auto way, auto at) {
    return Cell{format_spread((metrics.mean.*way).*at, (metrics.margin.*way).*at, runs, true)};
  });
}

}  // namespace vicha
