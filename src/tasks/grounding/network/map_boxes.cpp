#include "tasks/grounding/network/map_boxes.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/random.h"

namespace vicha {

PixelBox inside(const PixelBox& box, const PictureSize& size) {
  const auto width = static_cast<double>(size.width), height = static_cast<double>(size.height);
  const double left = std::clamp(box.x, 0.0, width), right = std::clamp(box.x + box.width, left, width);
  const double top = std::clamp(box.y, 0.0, height), bottom = std::clamp(box.y + box.height, top, height);
  return {left, top, right - left, bottom - top};
}

bool sticks_out(const PixelBox& box, const PictureSize& size) {
  return box.x < -1 || box.y < -1 || box.x + box.width > static_cast<double>(size.width) + 1 ||
         box.y + box.height > static_cast<double>(size.height) + 1;
}

double overlap(const PixelBox& a, const PixelBox& b, GroundingMetric metric) {
  const double inward = metric == GroundingMetric::kReleased ? 1 : 0;
  const double width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x) - inward;
  const double height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y) - inward;
  const double common = width > 0 && height > 0 ? (width + inward) * (height + inward) : 0;
  return common / (a.width * a.height + b.width * b.height - common);
}

at::Tensor upsample_map(const at::Tensor& map, const PictureSize& size) {
  VICHA_ASSERT(map.dim() == 2);
  const at::Tensor map_11HW = map.to(at::kFloat).cpu().contiguous().unsqueeze(0).unsqueeze(0);
  return at::upsample_bicubic2d(map_11HW, {size.height, size.width}, /*align_corners=*/false)[0][0];
}

std::vector<double> box_scores(const at::Tensor& map_HW, std::span<const PixelBox> boxes, double alpha) {
  const PictureSize size{map_HW.size(1), map_HW.size(0)};
  // Sums of all rectangles from the corner: every box is then four of them, however large.
  const at::Tensor sums = at::constant_pad_nd(map_HW.to(at::kDouble).cumsum(0).cumsum(1), {1, 0, 1, 0}).contiguous();
  const double* p = sums.data_ptr<double>();
  const auto sum = [&](std::int64_t y, std::int64_t x) { return p[y * (size.width + 1) + x]; };
  const auto whole = [](double at, std::int64_t most) {
    return static_cast<std::int64_t>(std::clamp(std::trunc(at), 0.0, static_cast<double>(most)));
  };
  std::vector<double> scores;
  for (const PixelBox& box : boxes) {
    const std::int64_t left = whole(box.x, size.width), right = whole(box.x + box.width, size.width);
    const std::int64_t top = whole(box.y, size.height), bottom = whole(box.y + box.height, size.height);
    scores.push_back(left < right && top < bottom
                         ? (sum(bottom, right) - sum(top, right) - sum(bottom, left) + sum(top, left)) /
                               std::pow(box.width * box.height, alpha)
                         : -std::numeric_limits<double>::infinity());
  }
  return scores;
}

BoxChoice choose_box(std::span<const double> scores, std::span<const PixelBox> boxes, std::uint64_t seed) {
  VICHA_ASSERT(scores.size() == boxes.size());
  BoxChoice choice;
  double best = -std::numeric_limits<double>::infinity();
  std::uint64_t least = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (!(scores[i] > -std::numeric_limits<double>::infinity()) || scores[i] < best) continue;
    const PixelBox& b = boxes[i];
    const std::uint64_t lot = mix_seed({seed, std::bit_cast<std::uint64_t>(b.x), std::bit_cast<std::uint64_t>(b.y),
                                        std::bit_cast<std::uint64_t>(b.width), std::bit_cast<std::uint64_t>(b.height)});
    const bool equal = choice.box >= 0 && scores[i] == best;
    if (equal && b == boxes[static_cast<std::size_t>(choice.box)]) continue;  // the same box once more
    choice.tied = equal;
    if (equal && lot > least) continue;
    best = scores[i];
    least = lot;
    choice.box = static_cast<std::int64_t>(i);
  }
  choice.positive = best > 0;
  return choice;
}

bool points_into(const at::Tensor& map_HW, const PixelBox& box) {
  const at::Tensor highest = map_HW.eq(map_HW.max()).nonzero().to(at::kDouble).mean(0);  // (row, column)
  const double y = highest[0].item<double>() + 0.5, x = highest[1].item<double>() + 0.5;
  return x >= box.x && x < box.x + box.width && y >= box.y && y < box.y + box.height;
}

std::vector<PixelBox> sliding_boxes(const PictureSize& size) {
  const auto lines = [](double side) {
    std::vector<std::pair<double, double>> spans;  // begin, length
    for (const double share : {0.15, 0.25, 0.35, 0.5, 0.7, 1.0}) {
      const double length = share * side, room = side - length;
      const auto steps = static_cast<std::int64_t>(std::ceil(room / (length / 2) - 1e-9));
      for (std::int64_t i = 0; i <= steps; ++i) {
        spans.emplace_back(steps > 0 ? room * static_cast<double>(i) / static_cast<double>(steps) : 0.0, length);
      }
    }
    return spans;
  };
  std::vector<PixelBox> boxes;
  const auto columns = lines(static_cast<double>(size.width)), rows = lines(static_cast<double>(size.height));
  for (const auto& [y, height] : rows) {
    for (const auto& [x, width] : columns) boxes.push_back({x, y, width, height});
  }
  return boxes;
}

}  // namespace vicha
