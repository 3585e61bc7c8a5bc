#include "report/chart_curve.h"

#include <algorithm>
#include <cmath>

namespace vicha {

Curve smooth(const Curve& curve, double span, const std::vector<double>& restarts) {
  Curve out;
  out.reserve(curve.size());
  const double keep = span > 0 ? std::exp(-1.0 / span) : 0.0;
  double sum = 0.0, weight = 0.0;
  for (const CurvePoint& point : curve) {
    const bool anew = !out.empty() && std::any_of(restarts.begin(), restarts.end(),
                                                  [&](double x) { return out.back().x < x && x <= point.x; });
    if (anew) sum = weight = 0.0;
    sum = keep * sum + point.y;
    weight = keep * weight + 1.0;
    out.push_back({point.x, sum / weight});
  }
  return out;
}

Curve thin(const Curve& curve, std::size_t count) {
  if (curve.size() <= count || count < 2) return curve;
  Curve out;
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i) out.push_back(curve[i * (curve.size() - 1) / (count - 1)]);
  return out;
}

std::pair<double, double> range_without_outliers(const Curve& curve, double share) {
  std::vector<double> values;
  values.reserve(curve.size());
  for (const CurvePoint& point : curve) values.push_back(point.y);
  std::sort(values.begin(), values.end());
  const auto outliers = static_cast<std::size_t>(static_cast<double>(values.size()) * share);
  return {values[outliers], values[values.size() - 1 - outliers]};
}

}  // namespace vicha
