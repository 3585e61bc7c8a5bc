#include "metrics/recall.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/error.h"

namespace vicha {
namespace {

/// Nothing is greater than NaN, so that a row of them would count as found first.
void require_finite(const at::Tensor& x, std::string_view what) {
  const float* p = x.const_data_ptr<float>();
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    if (std::isfinite(p[i])) continue;
    throw DataError(
        fmt::format("{}, row {}, column {}", what, i / x.size(1), i % x.size(1)),
        fmt::format("the score is {}, and a ranking by it says nothing", p[i]),
        "The weights hold numbers that are not finite, or lead to such: look at the losses of the training, or "
        "evaluate an earlier checkpoint");
  }
}

/// For each row the place of its best-placed right column.
Recalls recalls(const at::Tensor& scores, const std::vector<std::vector<std::int64_t>>& right, std::string_view what) {
  Recalls r;
  const at::Tensor x = scores.to(at::kFloat).contiguous();
  const std::int64_t columns = x.size(1);
  require_finite(x, what);
  for (std::size_t i = 0; i < right.size(); ++i) {
    const float* row = x.data_ptr<float>() + static_cast<std::int64_t>(i) * columns;
    std::int64_t rank = columns;
    for (const std::int64_t j : right[i]) {
      std::int64_t before = 0;
      for (std::int64_t c = 0; c < columns; ++c) before += row[c] > row[j] || (row[c] == row[j] && c < j);
      rank = std::min(rank, before);
    }
    r.r1 += rank < 1;
    r.r5 += rank < 5;
    r.r10 += rank < 10;
  }
  const double scale = 100.0 / static_cast<double>(std::max<std::size_t>(1, right.size()));
  return {r.r1 * scale, r.r5 * scale, r.r10 * scale};
}

}  // namespace

RetrievalMetrics retrieval_metrics(const at::Tensor& i2t, const at::Tensor& t2i,
                                   const std::vector<std::vector<std::int64_t>>& texts_of,
                                   const std::vector<std::vector<std::int64_t>>& images_of) {
  return {recalls(i2t, texts_of, "scores of texts for each picture"),
          recalls(t2i, images_of, "scores of pictures for each text")};
}

RetrievalMetrics retrieval_metrics(const at::Tensor& i2t, const at::Tensor& t2i,
                                   const std::vector<std::vector<std::int64_t>>& texts_of,
                                   const std::vector<std::int64_t>& image_of) {
  std::vector<std::vector<std::int64_t>> images;
  for (const std::int64_t image : image_of) images.push_back({image});
  return retrieval_metrics(i2t, t2i, texts_of, images);
}

}  // namespace vicha
