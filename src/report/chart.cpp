#include "report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/chart_axis.h"

namespace vicha {
namespace {

// Units of the drawing; about pixels where charts stand side by side.
constexpr double kWidth = 360, kHeight = 210, kLeft = 44, kRight = 14, kRightOfLabels = 56, kTop = 20, kBottom = 34;
constexpr double kOutliers = 0.01, kLogRatio = 20;
constexpr int kXTicks = 5, kYTicks = 5;
constexpr std::size_t kFew = 60;  // points that are drawn large

struct Frame {
  Axis x, y;
  double left, right, top, bottom;
  double at_x(double value) const { return left + (right - left) * x.place(value); }
  double at_y(double value) const { return bottom - (bottom - top) * y.place(value); }
};

std::string number(double value) { return fmt::format("{:.1f}", value); }

std::pair<double, double> y_range(const Chart& chart) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  const auto include = [&](double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  };
  for (const ChartSeries& series : chart.series) {
    for (const CurvePoint& point : series.line) include(point.y);
    if (series.points.empty()) continue;
    const auto [from, to] = range_without_outliers(series.points, kOutliers);
    include(from);
    include(to);
  }
  for (const Chart::Level& level : chart.levels) include(level.y);
  if (chart.from_zero) include(0.0);
  return {low, high};
}

Frame make_frame(const Chart& chart) {
  const bool labels =
      !chart.levels.empty() || std::any_of(chart.series.begin(), chart.series.end(),
                                           [](const ChartSeries& series) { return !series.label.empty(); });
  const auto [low, high] = y_range(chart);
  const bool log = chart.may_be_log && low > 0 && high / low > kLogRatio;
  return {Axis(chart.x_low, chart.x_high, false, false),
          Axis(low, high, log, true),
          kLeft,
          kWidth - (labels ? kRightOfLabels : kRight),
          kTop,
          kHeight - kBottom};
}

void line(Html& html, std::string_view kind, double x1, double y1, double x2, double y2) {
  html.empty("path", {{"class", std::string(kind)},
                      {"d", fmt::format("M{} {}L{} {}", number(x1), number(y1), number(x2), number(y2))}});
}

void label(Html& html, std::string_view kind, double x, double y, std::string_view text) {
  html.leaf("text", {{"class", std::string(kind)}, {"x", number(x)}, {"y", number(y)}}, text);
}

void draw_axes(Html& html, const Chart& chart, const Frame& frame) {
  for (const double tick : frame.y.ticks(kYTicks)) {
    const double y = frame.at_y(tick);
    line(html, "grid", frame.left, y, frame.right, y);
    label(html, "tick end", frame.left - 6, y + 4, format_number(tick));
  }
  for (const double tick : frame.x.ticks(kXTicks)) {
    const double x = frame.at_x(tick);
    line(html, "axis", x, frame.bottom, x, frame.bottom + 4);
    label(html, "tick middle", x, frame.bottom + 16, format_number(tick));
  }
  line(html, "axis", frame.left, frame.bottom, frame.right, frame.bottom);
  label(html, "unit end", frame.right, kHeight - 4, chart.x_label);
  const std::string unit = chart.y_label + (frame.y.log() ? (chart.y_label.empty() ? "log scale" : ", log scale") : "");
  if (!unit.empty()) label(html, "unit", 2, 11, unit);
}

void draw_levels(Html& html, const Chart& chart, const Frame& frame) {
  for (const Chart::Level& level : chart.levels) {
    line(html, "level", frame.left, frame.at_y(level.y), frame.right, frame.at_y(level.y));
  }
}

void draw_marks(Html& html, const Chart& chart, const Frame& frame) {
  // Labels that would overlap stand in different rows.
  std::vector<double> row_ends;
  for (const Chart::Mark& mark : chart.marks) {
    const double x = frame.at_x(mark.x), width = 6.0 * static_cast<double>(mark.label.size()) + 8;
    const bool turned = x + width > frame.right;
    const double begin = turned ? x - width : x;
    std::size_t row = 0;
    while (row < row_ends.size() && row_ends[row] > begin) ++row;
    if (row == row_ends.size()) row_ends.push_back(0);
    row_ends[row] = begin + width;
    line(html, "mark", x, frame.top, x, frame.bottom);
    label(html, turned ? "note end" : "note", turned ? x - 4 : x + 4, frame.top + 9 + 12 * static_cast<double>(row),
          mark.label);
  }
}

void draw_points(Html& html, const Curve& points, const Frame& frame, std::size_t color) {
  // A line of no length with round ends is a dot: one path for all of them.
  std::string dots;
  for (const CurvePoint& point : points) {
    if (point.y < frame.y.low() || point.y > frame.y.high()) continue;
    dots += fmt::format("M{} {}h0", number(frame.at_x(point.x)), number(frame.at_y(point.y)));
  }
  if (!dots.empty()) html.empty("path", {{"class", fmt::format("dots s{}", color)}, {"d", std::move(dots)}});
}

void draw_line(Html& html, const ChartSeries& series, const Frame& frame, std::size_t color) {
  std::string path;
  for (const CurvePoint& point : series.line) {
    path += fmt::format("{}{} {}", path.empty() ? 'M' : 'L', number(frame.at_x(point.x)), number(frame.at_y(point.y)));
  }
  if (series.line.size() == 1) path += "h0";
  if (path.empty()) return;
  html.empty("path", {{"class", fmt::format("line s{}", color)}, {"data-label", series.label}, {"d", std::move(path)}});
}

/// Names at the ends of lines and levels, from top to bottom without overlap.
void draw_names(Html& html, const Chart& chart, const Frame& frame) {
  struct Name {
    double y;
    std::string kind;
    std::string_view text;
  };
  std::vector<Name> names;
  for (const Chart::Level& level : chart.levels) names.push_back({frame.at_y(level.y) + 4, "unit", level.label});
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const ChartSeries& series = chart.series[i];
    if (series.label.empty() || series.line.empty()) continue;
    names.push_back({frame.at_y(series.line.back().y) + 4, fmt::format("name s{}", i + 1), series.label});
  }
  std::sort(names.begin(), names.end(), [](const Name& a, const Name& b) { return a.y < b.y; });
  constexpr double kApart = 12;
  for (std::size_t i = names.size(); i-- > 0;) {
    const double below = i + 1 < names.size() ? names[i + 1].y - kApart : frame.bottom;
    names[i].y = std::min(names[i].y, below);
  }
  for (const Name& name : names) {
    label(html, name.kind, frame.right + 5, name.y, name.text);
  }
}

}  // namespace

void draw_chart(Html& html, const Chart& chart) {
  const bool drawable = std::any_of(chart.series.begin(), chart.series.end(), [](const ChartSeries& series) {
    return !series.line.empty() || !series.points.empty();
  });
  if (!drawable) return;
  const Frame frame = make_frame(chart);
  const bool few = std::all_of(chart.series.begin(), chart.series.end(),
                               [](const ChartSeries& series) { return series.points.size() <= kFew; });
  const auto figure = html.element("figure", {{"class", few ? "chart few" : "chart"}});
  {
    const auto caption = html.element("figcaption");
    html.leaf("span", {{"class", "name"}}, chart.title);
    html.leaf("span", {{"class", "now"}, {"data-rest", chart.summary}}, chart.summary);
  }
  const auto svg =
      html.element("svg", {{"viewBox", fmt::format("0 0 {} {}", kWidth, kHeight)},
                           {"role", "img"},
                           {"aria-labelledby", fmt::format("{0}-title {0}-desc", chart.id)},
                           {"data-x", fmt::format("{} {}", frame.x.low(), frame.x.high())},
                           {"data-y", fmt::format("{} {}", frame.y.low(), frame.y.high())},
                           {"data-log", frame.y.log() ? "1" : "0"},
                           {"data-box", fmt::format("{} {} {} {}", frame.left, frame.right, frame.top, frame.bottom)}});
  html.leaf("title", {{"id", chart.id + "-title"}}, chart.title);
  html.leaf("desc", {{"id", chart.id + "-desc"}}, chart.description);
  draw_axes(html, chart, frame);
  for (std::size_t i = 0; i < chart.series.size(); ++i) draw_points(html, chart.series[i].points, frame, i + 1);
  draw_levels(html, chart, frame);
  draw_marks(html, chart, frame);
  for (std::size_t i = 0; i < chart.series.size(); ++i) draw_line(html, chart.series[i], frame, i + 1);
  draw_names(html, chart, frame);
}

}  // namespace vicha
