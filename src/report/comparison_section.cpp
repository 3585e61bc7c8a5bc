// This run beside others.
#include <fmt/format.h>

#include <cmath>

#include "report/chart_axis.h"
#include "report/recall_table.h"
#include "report/sections.h"

namespace vicha {
namespace {

/// Standard error of a share of `queries`, in percent.
double uncertainty(double percent, std::int64_t queries) {
  const double share = percent / 100;
  return queries > 0 ? 100 * std::sqrt(share * (1 - share) / static_cast<double>(queries)) : 0.0;
}

void write_differences(Html& html, const Comparison& comparison) {
  for (std::size_t i = 1; i < comparison.groups.size(); ++i) {
    const Comparison::Group& group = comparison.groups[i];
    if (group.differences.empty()) continue;
    const auto details = html.element("details");
    html.leaf("summary", {},
              fmt::format("What {} has otherwise than {} in its recipe", group.name, comparison.groups.front().name));
    std::string text;
    for (const std::string& difference : group.differences) text += difference + "\n";
    html.leaf("pre", {}, text);
  }
}

}  // namespace

void write_comparison(Html& html, const ReportData& data) {
  if (!data.comparison) return;
  const Comparison& comparison = *data.comparison;
  const auto section = html.element("section", {{"id", "comparison"}});
  html.leaf("h2", {}, "Beside other runs");
  const Comparison::Group& first = comparison.groups.front();
  html.leaf("p", {},
            fmt::format("All on {}{} pictures and {} captions. The number of queries alone leaves each R@10 of one run "
                        "uncertain by about {:.1f} (standard error); runs of other seeds differ as the spread says.",
                        comparison.manifest.empty() ? "" : comparison.manifest + ": ", format_count(comparison.images),
                        format_count(comparison.captions), uncertainty(first.itc.mean.image.r10, comparison.captions)));
  {
    RecallTable table(
        html,
        "Percent; of several runs: mean ± standard deviation, and of differences, run by run, their mean ± half of "
        "Student's 95 % interval");
    for (const Comparison::Group& group : comparison.groups) {
      const std::string runs = group.runs > 1 ? fmt::format(", {} runs", group.runs) : "";
      table.add(group.name + runs, group.reranked, group.runs, "best");
      if (group.reranked_gain) table.add_gain("less " + first.name, *group.reranked_gain, group.runs);
      table.add("ITC alone", group.itc, group.runs, "");
      if (group.itc_gain) table.add_gain("less " + first.name, *group.itc_gain, group.runs);
    }
  }
  write_differences(html, comparison);
}

}  // namespace vicha
