#include "metrics/recall.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace vicha {
namespace {

/// For each row the rank of its best-ranked right column.
Recalls recalls(const at::Tensor& scores, const std::vector<std::vector<std::int64_t>>& right) {
  Recalls r;
  const at::Tensor x = scores.to(at::kFloat).contiguous();
  const std::int64_t columns = x.size(1);
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
  return {recalls(i2t, texts_of), recalls(t2i, images_of)};
}

RetrievalMetrics retrieval_metrics(const at::Tensor& i2t, const at::Tensor& t2i,
                                   const std::vector<std::vector<std::int64_t>>& texts_of,
                                   const std::vector<std::int64_t>& image_of) {
  std::vector<std::vector<std::int64_t>> images;
  for (const std::int64_t image : image_of) images.push_back({image});
  return retrieval_metrics(i2t, t2i, texts_of, images);
}

}  // namespace vicha
