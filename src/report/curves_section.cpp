// Losses, learning rate, speed and measures against steps.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "objectives/registry.h"
#include "report/chart.h"
#include "report/chart_axis.h"
#include "report/sections.h"

namespace vicha {
namespace {

constexpr std::size_t kPoints = 600;
/// The smoothed line remembers about this share of the run.
constexpr double kSpan = 1.0 / 60;

/// "grad_norm" -> "Grad norm" where there is no better name.
std::string title_of(const std::string& name) {
  if (const ObjectiveKind* kind = find_objective_kind(name)) return kind->curve;
  if (name == "total") return "Total loss";
  std::string title = name;
  std::replace(title.begin(), title.end(), '_', ' ');
  if (!title.empty()) title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[0])));
  return title;
}

/// Terms that set in after the first step.
std::vector<Chart::Mark> later_terms(const RunMetrics& metrics) {
  std::vector<Chart::Mark> marks;
  double first = static_cast<double>(metrics.steps);
  for (const auto& [name, curve] : metrics.losses) {
    if (!curve.empty()) first = std::min(first, curve.front().x);
  }
  for (const auto& [name, curve] : metrics.losses) {
    if (curve.empty() || curve.front().x <= first) continue;
    const double x = curve.front().x;
    const auto same = std::find_if(marks.begin(), marks.end(), [&](const auto& mark) { return mark.x == x; });
    if (same != marks.end()) {
      same->label += ", " + name;
    } else {
      marks.push_back({x, "+ " + name});
    }
  }
  return marks;
}

class CurveCharts {
 public:
  CurveCharts(Html& html, const RunMetrics& metrics) : html_(html), metrics_(metrics) {}

  Chart begin(const std::string& title, const std::string& y_label) {
    return {.id = fmt::format("chart-{}", ++count_),
            .title = title,
            .y_label = y_label,
            .x_high = static_cast<double>(metrics_.steps)};
  }

  /// A smoothed line over the raw values; the curve may jump at `jumps`.
  void noisy(Chart chart, const Curve& curve, const std::vector<Chart::Mark>& jumps = {}) {
    if (curve.empty()) return;
    std::vector<double> restarts;
    for (const Chart::Mark& jump : jumps) restarts.push_back(jump.x);
    const Curve smoothed = smooth(curve, static_cast<double>(curve.size()) * kSpan, restarts);
    finish(std::move(chart), thin(smoothed, kPoints), thin(curve, kPoints));
  }
  /// A line as it is: nothing random in it.
  void exact(Chart chart, const Curve& curve) {
    if (!curve.empty()) finish(std::move(chart), thin(curve, kPoints), {});
  }

 private:
  void finish(Chart chart, Curve line, Curve points) {
    const auto [low, high] =
        std::minmax_element(line.begin(), line.end(), [](const auto& a, const auto& b) { return a.y < b.y; });
    chart.summary = format_number(line.back().y);
    chart.description =
        fmt::format("{} over steps {} to {}: from {} to {}; lowest {} at step {}, highest {} at step {}.", chart.title,
                    format_number(line.front().x), format_number(line.back().x), format_number(line.front().y),
                    format_number(line.back().y), format_number(low->y), format_number(low->x), format_number(high->y),
                    format_number(high->x));
    chart.series = {{.line = std::move(line), .points = std::move(points)}};
    draw_chart(html_, chart);
  }

  Html& html_;
  const RunMetrics& metrics_;
  int count_ = 0;
};

}  // namespace

void write_curves(Html& html, const ReportData& data) {
  const RunMetrics& metrics = data.metrics;
  const auto section = html.element("section", {{"id", "curves"}});
  html.leaf("h2", {}, "Curves");
  html.leaf(
      "p", {},
      "Every dot is a recorded step, the line a moving average of about a sixtieth of the run, begun anew where a "
      "term sets in (outliers are cut "
      "off at the frame). Numbers on the right are the line's last value; point at a chart to read others.");
  const std::vector<Chart::Mark> jumps = later_terms(metrics);
  CurveCharts charts(html, metrics);
  {
    const auto grid = html.element("div", {{"class", "charts"}});
    for (const auto& [name, curve] : metrics.losses) {
      const ObjectiveKind* kind = find_objective_kind(name);
      Chart chart = charts.begin(title_of(name), kind != nullptr ? kind->measure : "");
      chart.may_be_log = true;
      // A new term changes the total immediately, and the speed.
      if (name == "total") chart.marks = jumps;
      charts.noisy(std::move(chart), curve, name == "total" ? jumps : std::vector<Chart::Mark>());
    }
  }
  html.leaf("h3", {}, "Learning rate, speed and measures");
  const auto grid = html.element("div", {{"class", "charts"}});
  Chart rate = charts.begin("Learning rate", "");
  rate.from_zero = true;
  charts.exact(std::move(rate), metrics.lr);
  Chart speed = charts.begin("Throughput", "samples/s");
  speed.from_zero = true;
  charts.noisy(std::move(speed), metrics.samples_per_s, jumps);
  Curve waiting = metrics.data_wait;
  for (CurvePoint& point : waiting) point.y *= 100;
  Chart wait = charts.begin("Waiting for data", "% of the step");
  wait.from_zero = true;
  charts.noisy(std::move(wait), waiting);
  for (const auto& [name, curve] : metrics.measures) {
    if (name == "temperature") {
      charts.exact(charts.begin(title_of(name), ""), curve);
    } else {
      charts.noisy(charts.begin(title_of(name), ""), curve);
    }
  }
}

}  // namespace vicha
