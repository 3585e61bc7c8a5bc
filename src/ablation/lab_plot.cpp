#include "ablation/lab_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "report/chart_axis.h"

namespace vicha {
namespace {

constexpr int kTicks = 5;

std::string place(double value) { return fmt::format("{:.1f}", value); }

void line(Html& html, const std::string& look, double x1, double y1, double x2, double y2) {
  html.empty("path", {{"class", look}, {"d", fmt::format("M{} {}L{} {}", place(x1), place(y1), place(x2), place(y2))}});
}

void words(Html& html, const std::string& look, double x, double y, std::string_view text) {
  html.leaf("text", {{"class", look}, {"x", place(x)}, {"y", place(y)}}, text);
}

void dots(Html& html, const std::string& look, const std::vector<std::pair<double, double>>& at) {
  std::string path;
  for (const auto& [x, y] : at) path += fmt::format("M{} {}h0", place(x), place(y));
  if (!path.empty()) html.empty("path", {{"class", "dots " + look}, {"d", path}});
}

class Range {
 public:
  void include(double value) {
    low_ = std::min(low_, value);
    high_ = std::max(high_, value);
  }
  void include(const std::optional<Interval>& interval) {
    if (!interval) return;
    include(interval->low);
    include(interval->high);
  }
  bool empty() const { return low_ > high_; }
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  double low_ = std::numeric_limits<double>::infinity(), high_ = -std::numeric_limits<double>::infinity();
};

/// Opens the figure that all plots stand in.
class PlotFigure {
 public:
  PlotFigure(Html& html, const std::string& title, const std::string& summary, double width, double height)
      : figure_(html.element("figure", {{"class", "chart few"}})),
        caption_(html, title, summary),
        svg_(html.element("svg", {{"viewBox", fmt::format("0 0 {} {}", place(width), place(height))},
                                  {"role", "img"},
                                  {"aria-label", title}})) {}

 private:
  struct Caption {
    Caption(Html& html, const std::string& title, const std::string& summary) {
      const auto caption = html.element("figcaption");
      html.leaf("span", {{"class", "name"}}, title);
      html.leaf("span", {{"class", "now"}}, summary);
    }
  };
  Html::Element figure_;
  Caption caption_;
  Html::Element svg_;
};

}  // namespace

void draw_dot_plot(Html& html, const DotPlot& plot) {
  constexpr double kWidth = 520, kRight = 16, kTop = 8, kRow = 24, kBottom = 34, kLetter = 6.1;
  Range range;
  std::size_t longest = 4;
  for (const DotPlot::Row& row : plot.rows) {
    longest = std::max(longest, std::min<std::size_t>(row.name.size(), 34));
    for (const double dot : row.dots) range.include(dot);
    if (row.dots.empty()) continue;
    range.include(row.seeds);
    range.include(row.queries);
  }
  if (range.empty()) return;
  if (plot.with_zero) range.include(0.0);
  const Axis axis(range.low(), range.high(), false, true);
  const double left = 12 + kLetter * static_cast<double>(longest),
               bottom = kTop + kRow * static_cast<double>(plot.rows.size());
  const auto x = [&](double value) { return left + (kWidth - kRight - left) * axis.place(value); };
  const PlotFigure figure(html, plot.title, plot.summary, kWidth, bottom + kBottom);
  for (const double tick : axis.ticks(kTicks)) {
    line(html, "grid", x(tick), kTop, x(tick), bottom);
    words(html, "tick middle", x(tick), bottom + 15, format_number(tick));
  }
  if (plot.with_zero) line(html, "level", x(0), kTop, x(0), bottom);
  words(html, "unit end", kWidth - kRight, bottom + 30, plot.unit);
  for (std::size_t i = 0; i < plot.rows.size(); ++i) {
    const DotPlot::Row& row = plot.rows[i];
    const double y = kTop + kRow * (static_cast<double>(i) + 0.5);
    const std::string look = row.is_baseline ? "s2" : "s1";
    words(html, "end", left - 8, y + 4, row.name);
    if (row.dots.empty()) {
      words(html, "tick", left + 4, y + 4, "–");
      continue;
    }
    const auto group = html.element("g");
    html.leaf("title", {},
              fmt::format(
                  "{}: mean {:.2f}{}", row.name, row.mean,
                  row.seeds ? fmt::format(", 95 % over seeds {:.2f} to {:.2f}", row.seeds->low, row.seeds->high) : ""));
    if (row.queries) line(html, "lab-queries " + look, x(row.queries->low), y, x(row.queries->high), y);
    if (row.seeds) {
      line(html, "lab-seeds " + look, x(row.seeds->low), y, x(row.seeds->high), y);
      for (const double end : {row.seeds->low, row.seeds->high})
        line(html, "lab-seeds " + look, x(end), y - 4, x(end), y + 4);
    }
    std::vector<std::pair<double, double>> at;
    for (const double dot : row.dots) at.emplace_back(x(dot), y);
    dots(html, look, at);
    line(html, "lab-mean " + look, x(row.mean), y - 8, x(row.mean), y + 8);
  }
}

void draw_axis_plot(Html& html, const AxisPlot& plot) {
  constexpr double kWidth = 520, kHeight = 260, kLeft = 44, kRight = 150, kTop = 12, kBottom = 38, kApart = 13;
  Range across, up;
  std::map<double, std::string> values;
  for (const AxisPlot::Series& series : plot.series) {
    for (const AxisPlot::Point& point : series.points) {
      across.include(point.x);
      values.emplace(point.x, point.name);
      for (const double dot : point.dots) up.include(dot);
      if (!point.dots.empty()) up.include(point.seeds);
    }
  }
  if (up.empty()) return;
  const bool log = plot.log && across.low() > 0;
  const Axis horizontal(across.low(), across.high(), log, false), vertical(up.low(), up.high(), false, true);
  // Room for intervals that stand beside each other at the ends.
  const auto x = [&](double value) { return kLeft + 14 + (kWidth - kRight - kLeft - 28) * horizontal.place(value); };
  const auto y = [&](double value) { return kHeight - kBottom - (kHeight - kBottom - kTop) * vertical.place(value); };
  const PlotFigure figure(html, plot.title, "", kWidth, kHeight);
  for (const double tick : vertical.ticks(kTicks)) {
    line(html, "grid", kLeft, y(tick), kWidth - kRight, y(tick));
    words(html, "tick end", kLeft - 6, y(tick) + 4, format_number(tick));
  }
  for (const auto& [value, name] : values) {
    line(html, "axis", x(value), kHeight - kBottom, x(value), kHeight - kBottom + 4);
    words(html, "tick middle", x(value), kHeight - kBottom + 16, name);
  }
  line(html, "axis", kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom);
  words(html, "unit end", kWidth - kRight, kHeight - 6, plot.x_label + (log ? ", log scale" : ""));
  std::vector<std::pair<double, std::size_t>> ends;
  for (std::size_t s = 0; s < plot.series.size(); ++s) {
    const std::string look = fmt::format("s{}", s + 1);
    // Series stand a little beside each other, so that their intervals can be told apart.
    const double beside = 4 * (static_cast<double>(s) - static_cast<double>(plot.series.size() - 1) / 2);
    std::string path;
    std::vector<std::pair<double, double>> at;
    for (const AxisPlot::Point& point : plot.series[s].points) {
      if (point.dots.empty()) continue;
      const double here = x(point.x) + beside;
      path += fmt::format("{}{} {}", path.empty() ? 'M' : 'L', place(here), place(y(point.mean)));
      for (const double dot : point.dots) at.emplace_back(here, y(dot));
      if (!point.seeds) continue;
      line(html, "lab-seeds " + look, here, y(point.seeds->low), here, y(point.seeds->high));
      for (const double end : {point.seeds->low, point.seeds->high}) {
        line(html, "lab-seeds " + look, here - 3, y(end), here + 3, y(end));
      }
    }
    if (path.empty()) continue;
    html.empty("path", {{"class", "line " + look}, {"d", path}});
    dots(html, look + " lab-pale", at);
    const auto last = std::ranges::find_if(plot.series[s].points.rbegin(), plot.series[s].points.rend(),
                                           [](const AxisPlot::Point& point) { return !point.dots.empty(); });
    ends.emplace_back(y(last->mean) + 4, s);
  }
  std::ranges::sort(ends);
  for (std::size_t i = 1; i < ends.size(); ++i) ends[i].first = std::max(ends[i].first, ends[i - 1].first + kApart);
  for (const auto& [at, s] : ends)
    words(html, fmt::format("name s{}", s + 1), kWidth - kRight + 6, at, plot.series[s].name);
}

}  // namespace vicha
