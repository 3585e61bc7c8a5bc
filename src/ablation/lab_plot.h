// Plots of a lab as inline SVG in the style of the report's charts (web/report.css).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/html.h"
#include "report/statistics.h"

namespace vicha {

/// Rows under each other: a dot a seed, the mean as a stroke, intervals as lines.
struct DotPlot {
  struct Row {
    std::string name;
    std::vector<double> dots;
    double mean = 0;
    std::optional<Interval> seeds = {};    ///< a thin line with ends
    std::optional<Interval> queries = {};  ///< a thick pale one behind it
    bool is_baseline = false;
  };
  std::string title, summary, unit;
  bool with_zero = false;  ///< a line where nothing is gained
  std::vector<Row> rows;
};
/// Nothing where no row has a dot.
void draw_dot_plot(Html& html, const DotPlot& plot);

/// A line for each series over the values of an axis: means, their intervals, a dot a seed.
struct AxisPlot {
  struct Point {
    double x = 0;
    std::string name;  ///< of the value, below the axis
    std::vector<double> dots;
    double mean = 0;
    std::optional<Interval> seeds = {};
  };
  struct Series {
    std::string name;
    std::vector<Point> points;  ///< ascending in x
  };
  std::string title, x_label;
  bool log = false;
  std::vector<Series> series;  ///< up to four, in the colours' order
};
/// Nothing where no point has a dot.
void draw_axis_plot(Html& html, const AxisPlot& plot);

}  // namespace vicha
