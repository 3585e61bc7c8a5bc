// From a map of patches to a box: the map at the picture's size, its sums over candidate boxes, and how well a box
// meets another (method, section 5.5; `grounding.metric`). Pixels of the picture as its file has it; on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "config/choice.h"

namespace vicha {

/// Upper left corner, width and height.
struct PixelBox {
  double x = 0, y = 0, width = 0, height = 0;

  bool operator==(const PixelBox&) const = default;
};
struct PictureSize {
  std::int64_t width = 0, height = 0;
};

/// The part inside of the picture; of no width or height where there is none.
PixelBox inside(const PixelBox& box, const PictureSize& size);
/// Whether the box reaches out of the picture by more than a pixel, which is what rounding may do.
bool sticks_out(const PixelBox& box, const PictureSize& size);

enum class GroundingMetric {
  kExact,    ///< areas of overlap; what the highest score says
  kReleased  ///< as the public code counts, its errors included
};
inline constexpr Choice<GroundingMetric> kGroundingMetricNames[] = {{"exact", GroundingMetric::kExact},
                                                                    {"released", GroundingMetric::kReleased}};

/// Intersection over union. `released` takes the corners inward by a pixel, and the overlap out again.
double overlap(const PixelBox& a, const PixelBox& b, GroundingMetric metric);
/// From which on a box counts as right.
inline constexpr double kRightOverlap = 0.5;

/// (rows, columns) -> (height, width), cubic convolution with a = -0.75, without antialias, fp32.
at::Tensor upsample_map(const at::Tensor& map, const PictureSize& size);

/// Of each box, the sum of the map's pixels [int(y), int(y + h)) x [int(x), int(x + w)) inside of the picture, over
/// (w h)^alpha; minus infinity for a box without a pixel there.
std::vector<double> box_scores(const at::Tensor& map_HW, std::span<const PixelBox> boxes, double alpha);

struct BoxChoice {
  std::int64_t box = -1;  ///< -1: there was none
  bool tied = false;      ///< others scored the same
  bool positive = false;  ///< its score is above 0
};
/// The box with the highest score. Among several with the same one, a draw that `seed` and the boxes decide, not their
/// order.
BoxChoice choose_box(std::span<const double> scores, std::span<const PixelBox> boxes, std::uint64_t seed);

/// Whether the map's highest point (the mean of several) lies in the box.
bool points_into(const at::Tensor& map_HW, const PixelBox& box);

/// Boxes to choose from where nobody gives any: of six widths and six heights, from 15 % of the picture's side to all
/// of it, in steps of half their size.
std::vector<PixelBox> sliding_boxes(const PictureSize& size);

}  // namespace vicha
