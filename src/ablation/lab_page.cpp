#include "ablation/lab_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "ablation/lab_plot.h"
#include "base/progress.h"
#include "config/serialize.h"
#include "report/html.h"
#include "report/report_assets.h"

namespace vicha {
namespace {

constexpr std::string_view kLabStyle = R"(
.wide { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(480px, 100%), 1fr)); gap: 14px; }
.chart .lab-seeds { stroke: var(--own); stroke-width: 1.4; fill: none; }
.chart .lab-queries { stroke: var(--own); stroke-width: 9; opacity: .22; fill: none; }
.chart .lab-mean { stroke: var(--own); stroke-width: 2.6; fill: none; }
.chart.few .dots.lab-pale { opacity: .45; }
table.lab td, table.lab th { border-left: none; white-space: nowrap; }
table.lab td.soft { color: var(--soft); }
table.lab tr.less th, table.lab tr.less td { color: var(--soft); font-size: 14px; padding-top: 0; border-bottom: 1px solid var(--edge); }
table.lab tr.first th, table.lab tr.first td { border-bottom: none; padding-bottom: 0; }
table.lab tr.sure td.sure { color: var(--ink); font-weight: 650; }
)";

class LabPage {
 public:
  explicit LabPage(const LabTable& table) : t_(table) {}

  std::string write() {
    html_.raw("<!DOCTYPE html>\n");
    {
      const auto root = html_.element("html", {{"lang", "en"}});
      head();
      const auto body = html_.element("body");
      {
        const auto main = html_.element("main");
        summary();
        table();
        differences();
        measures();
        curves();
        settings();
      }
      html_.leaf("footer", {}, "Written by vicha ablate. This page holds everything it shows.");
    }
    return html_.str();
  }

 private:
  static std::string name_of(const MeasuredRow& row) { return row.plan.title; }

  void head() {
    const auto head = html_.element("head");
    html_.empty("meta", {{"charset", "utf-8"}});
    html_.empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
    html_.empty("meta", {{"http-equiv", "Content-Security-Policy"},
                         {"content",
                          "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action "
                          "'none'"}});
    html_.leaf("title", {}, title() + " – ViCHA ablation");
    const auto style = html_.element("style");
    html_.raw(embedded::report_css());
    html_.raw(kLabStyle);
  }

  std::string title() const { return t_.lab.title.empty() ? "Ablation" : t_.lab.title; }

  void summary() {
    html_.leaf("h1", {}, title());
    std::int64_t failed = 0, missing = 0;
    double seconds = 0;
    for (const MeasuredRow& row : t_.rows) {
      failed += static_cast<std::int64_t>(row.failures.size());
      missing += row.missing;
      seconds += row.seconds.mean * static_cast<double>(row.seconds.count);
    }
    const LabBudget& budget = t_.lab.budget;
    const std::string length = budget.steps > 0 ? fmt::format("{} steps a run", budget.steps)
                               : budget.seconds > 0
                                   ? fmt::format("{} of training a run", format_duration(budget.seconds))
                                   : "each run as long as its recipe says";
    html_.leaf("p", {{"class", "lead"}},
               fmt::format("{} rows, {} seeds, {}; evaluated as {} on {}. {} of training in all.", t_.rows.size(),
                           t_.lab.seeds.size(), length, t_.lab.evaluation.task, t_.lab.evaluation.manifest,
                           format_duration(seconds)));
    if (missing > 0) html_.leaf("p", {{"class", "absent"}}, fmt::format("{} runs are still to be done.", missing));
    if (failed == 0) return;
    const auto list = html_.element("div", {{"class", "absent"}});
    for (const MeasuredRow& row : t_.rows) {
      for (const MeasuredRow::Failure& failure : row.failures) {
        html_.leaf("p", {}, fmt::format("{}, seed {}: {}", name_of(row), failure.seed, failure.reason));
      }
    }
  }

  static std::string cell_text(const SeedSpread& spread) {
    if (spread.count == 0) return "–";
    return spread.count > 1 ? fmt::format("{:.2f} ± {:.2f}", spread.mean, spread.deviation)
                            : fmt::format("{:.2f}", spread.mean);
  }

  static std::string range_text(const std::optional<Interval>& interval) {
    return interval ? fmt::format("[{:+.2f}, {:+.2f}]", interval->low, interval->high) : "";
  }

  static bool excludes_zero(const std::optional<Interval>& interval) {
    return interval && (interval->low > 0 || interval->high < 0);
  }

  void table() {
    html_.leaf("h2", {}, "Table");
    const auto scroll = html_.element("div", {{"class", "scroll"}});
    const auto table = html_.element("table", {{"class", "lab"}});
    html_.leaf(
        "caption", {},
        "Mean ± standard deviation over the seeds. Below it the mean of the paired differences and Student's 95 % "
        "interval over the seeds; bold where it leaves out 0.");
    {
      const auto head = html_.element("thead");
      const auto row = html_.element("tr");
      html_.leaf("td", {}, "");
      for (const Measure& measure : t_.measures) html_.leaf("th", {{"scope", "col"}}, measure.title);
      for (const char* cost : {"steps", "training", "samples/s", "numbers learned"}) {
        html_.leaf("th", {{"scope", "col"}}, cost);
      }
    }
    const auto body = html_.element("tbody");
    for (const MeasuredRow& row : t_.rows) table_row(row);
  }

  void table_row(const MeasuredRow& row) {
    const MeasuredRow* baseline = t_.baseline_of(row);
    const bool compared = baseline != nullptr && row.seconds.count > 0;
    {
      const auto tr = html_.element("tr", {{"class", compared ? "first" : ""}});
      html_.leaf("th", {{"scope", "row"}}, name_of(row));
      for (const MeasuredRow::Cell& cell : row.cells) html_.leaf("td", {}, cell_text(cell.spread));
      const bool ran = row.seconds.count > 0;
      html_.leaf("td", {{"class", "soft"}}, ran ? fmt::format("{:.0f}", row.steps.mean) : "–");
      html_.leaf("td", {{"class", "soft"}}, ran ? format_duration(row.seconds.mean) : "–");
      html_.leaf("td", {{"class", "soft"}}, ran ? fmt::format("{:.0f}", row.samples_per_s.mean) : "–");
      html_.leaf("td", {{"class", "soft"}},
                 ran ? fmt::format("{:.2f} M", static_cast<double>(row.parameters) / 1e6) : "–");
    }
    if (!compared) return;
    const auto tr = html_.element("tr", {{"class", "less sure"}});
    html_.leaf("th", {{"scope", "row"}}, "less " + name_of(*baseline));
    for (const MeasuredRow::Cell& cell : row.cells) {
      const auto& difference = cell.difference;
      html_.leaf("td", {{"class", difference && excludes_zero(difference->seeds.interval) ? "sure" : ""}},
                 !difference
                     ? "–"
                     : fmt::format("{:+.2f} {}", difference->seeds.mean, range_text(difference->seeds.interval)));
    }
    for (int i = 0; i < 4; ++i) html_.leaf("td", {}, "");
  }

  void differences() {
    const bool any = std::ranges::any_of(t_.rows, [](const MeasuredRow& row) {
      return std::ranges::any_of(row.cells, [](const auto& cell) { return cell.difference.has_value(); });
    });
    if (!any) return;
    html_.leaf("h2", {}, "Paired differences");
    html_.leaf(
        "p", {{"class", "small"}},
        "Each row less the row it is compared with, seed by seed. Dots: seeds. Stroke: their mean. Thin line: "
        "Student's 95 % interval over seeds, what other seeds would give. Pale band: 95 % bootstrap over the test "
        "queries, what other queries would give of these very models.");
    const auto charts = html_.element("div", {{"class", "wide"}});
    for (std::size_t m = 0; m < t_.measures.size(); ++m) {
      DotPlot plot{.title = t_.measures[m].title, .summary = "", .unit = "gained", .with_zero = true, .rows = {}};
      for (const MeasuredRow& row : t_.rows) {
        if (!row.plan.baseline) continue;
        DotPlot::Row& one = plot.rows.emplace_back();
        one.name = name_of(row);
        const auto& difference = row.cells[m].difference;
        if (!difference) continue;
        const MeasuredRow& baseline = *t_.baseline_of(row);
        for (std::size_t s = 0; s < row.cells[m].values.size(); ++s) {
          const auto &own = row.cells[m].values[s], &base = baseline.cells[m].values[s];
          if (own && base) one.dots.push_back(*own - *base);
        }
        one.mean = difference->seeds.mean;
        one.seeds = difference->seeds.interval;
        one.queries = difference->queries;
      }
      draw_dot_plot(html_, plot);
    }
  }

  void measures() {
    html_.leaf("h2", {}, "Measures");
    html_.leaf("p", {{"class", "small"}},
               "Dots: seeds. Stroke: their mean. Line: Student's 95 % interval of the mean. The rows that others are "
               "compared with have the second colour.");
    const auto charts = html_.element("div", {{"class", "wide"}});
    for (std::size_t m = 0; m < t_.measures.size(); ++m) {
      DotPlot plot{.title = t_.measures[m].title, .summary = "", .unit = "", .rows = {}};
      for (std::size_t r = 0; r < t_.rows.size(); ++r) {
        const MeasuredRow& row = t_.rows[r];
        DotPlot::Row& one = plot.rows.emplace_back();
        one.name = name_of(row);
        one.is_baseline = std::ranges::any_of(
            t_.rows, [&](const MeasuredRow& other) { return other.plan.baseline == std::optional<std::size_t>(r); });
        for (const auto& value : row.cells[m].values) {
          if (value) one.dots.push_back(*value);
        }
        one.mean = row.cells[m].spread.mean;
        one.seeds = row.cells[m].spread.interval;
      }
      draw_dot_plot(html_, plot);
    }
  }

  static std::optional<double> number_of(const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (end == text.c_str()) return std::nullopt;
    if (*end == '/') {
      char* last = nullptr;
      const double below = std::strtod(end + 1, &last);
      return *last == '\0' && below > 0 ? std::optional(value / below) : std::nullopt;
    }
    if (std::string_view(end) == "%") return value / 100;
    return *end == '\0' ? std::optional(value) : std::nullopt;
  }

  /// An axis whose values are numbers is a curve.
  void curves() {
    for (const auto& [name, axis] : t_.lab.axes) {
      const bool numbers =
          std::ranges::all_of(axis.values, [](const std::string& value) { return number_of(value).has_value(); });
      if (!numbers || axis.values.size() < 2) continue;
      const std::string label = axis.title.empty() ? name : axis.title;
      html_.leaf("h2", {}, "Over " + label);
      html_.leaf("p", {{"class", "small"}},
                 "Lines join the means, dots are seeds, vertical lines Student's 95 % intervals of the means.");
      const auto charts = html_.element("div", {{"class", "wide"}});
      for (std::size_t m = 0; m < t_.measures.size(); ++m) draw_axis_plot(html_, axis_plot(name, axis, label, m));
    }
  }

  AxisPlot axis_plot(const std::string& name, const LabAxis& axis, const std::string& label, std::size_t m) const {
    constexpr std::size_t kColours = 4;
    AxisPlot plot{.title = t_.measures[m].title, .x_label = label, .log = axis.log, .series = {}};
    for (const MeasuredRow& row : t_.rows) {
      std::string series = row.plan.row_title, value;
      for (const auto& [at, text] : row.plan.at) {
        if (at == name) {
          value = text;
        } else {
          series += fmt::format(", {} {}", at, text);
        }
      }
      if (value.empty()) continue;
      auto found = std::ranges::find(plot.series, series, &AxisPlot::Series::name);
      if (found == plot.series.end()) {
        if (plot.series.size() == kColours) continue;  // the table has them all
        plot.series.push_back(AxisPlot::Series{series, {}});
        found = plot.series.end() - 1;
      }
      AxisPlot::Point& point = found->points.emplace_back();
      point.x = *number_of(value);
      point.name = value;
      for (const auto& one : row.cells[m].values) {
        if (one) point.dots.push_back(*one);
      }
      point.mean = row.cells[m].spread.mean;
      point.seeds = row.cells[m].spread.interval;
    }
    for (AxisPlot::Series& series : plot.series) std::ranges::sort(series.points, {}, &AxisPlot::Point::x);
    return plot;
  }

  void settings() {
    html_.leaf("h2", {}, "The lab");
    const auto details = html_.element("details");
    html_.leaf("summary", {}, "What each row sets");
    html_.leaf("pre", {}, to_toml(t_.lab, {.only_changes = true}));
  }

  const LabTable& t_;
  Html html_;
};

}  // namespace

std::string lab_page(const LabTable& table) { return LabPage(table).write(); }

}  // namespace vicha
