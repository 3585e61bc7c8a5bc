// Line charts as inline SVG: axes with round ticks, a line over faint points, marks and levels. Colours and type sizes
// are the style sheet's (web/report.css), so that a chart follows light, dark and print; the script's hover read-out
// (web/report.js) takes its numbers from the drawn lines and the `data-` attributes.
#pragma once

#include <string>
#include <vector>

#include "report/chart_curve.h"
#include "report/html.h"

namespace vicha {

struct ChartSeries {
  std::string label = {};  ///< at the line's end and in the read-out; "" where the chart has only one
  Curve line = {};         ///< drawn through; decides the range of y
  Curve points = {};       ///< drawn faintly below it; outliers beyond the range are left out
};

struct Chart {
  std::string id;                ///< unique in the page
  std::string title;             ///< heading
  std::string summary = {};      ///< beside the heading: the number to take home
  std::string description = {};  ///< for those who cannot see it
  std::string x_label = "step", y_label;
  double x_low = 0.0, x_high = 0.0;      ///< the same in all charts of a page, so that they can be compared
  bool from_zero = false;                ///< y begins at 0
  bool may_be_log = false;               ///< y is logarithmic if it spans more than a factor of 20
  std::vector<ChartSeries> series = {};  ///< up to 4, in the colours' order
  struct Mark {
    double x;
    std::string label;
  };
  std::vector<Mark> marks = {};  ///< vertical: something began here
  struct Level {
    double y;
    std::string label;
  };
  std::vector<Level> levels = {};  ///< horizontal: something to compare with
};

/// A <figure>. Does nothing if no series has a point.
void draw_chart(Html& html, const Chart& chart);

}  // namespace vicha
