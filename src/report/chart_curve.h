// Curves made fit for drawing: smoothed, thinned, and the range that shows them.
#pragma once

#include <utility>
#include <vector>

namespace vicha {

struct CurvePoint {
  double x = 0.0, y = 0.0;
};
/// Ascending in x, finite in both.
using Curve = std::vector<CurvePoint>;

/// Moving average with exponentially falling weights, `span` points to the weight 1/e; the first points are averages of
/// those before them alone (no pull to 0). It begins anew at each x of `restarts`, where the curve is known to jump.
/// One point for each.
Curve smooth(const Curve& curve, double span, const std::vector<double>& restarts = {});

/// At most `count` of the points, evenly spread over the curve, first and last kept.
Curve thin(const Curve& curve, std::size_t count);

/// Smallest and largest y without the `share` of outliers on each side. Not of an empty curve.
std::pair<double, double> range_without_outliers(const Curve& curve, double share);

}  // namespace vicha
