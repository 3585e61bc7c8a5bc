#include "search/clusters.h"

#include <ATen/ATen.h>
#include <faiss/Clustering.h>
#include <faiss/IndexFlat.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "base/progress.h"
#include "nn/kernel_choice.h"
#include "search/nearest_rows.h"

namespace vicha {
namespace {

constexpr std::int64_t kRowsOfCentroid = 40;  ///< that its position is learned from: FAISS asks for 39
constexpr std::int64_t kSortedAtOnce = 4096, kRecallAt = 10;

at::Tensor unit_rows(const StoredVectors& vectors, std::int64_t first, std::int64_t count, std::int64_t step_of,
                     std::int64_t step_to) {
  at::Tensor rows = at::empty({count, vectors.width()}, at::kFloat);
  for (std::int64_t i = 0; i < count; ++i) {
    vectors.unit((first + i) * step_to / step_of,
                 {rows.data_ptr<float>() + i * vectors.width(), static_cast<std::size_t>(vectors.width())});
  }
  return rows;
}

}  // namespace

RowClusters cluster_rows(const StoredVectors& vectors) {
  const std::int64_t rows = vectors.size(), width = vectors.width();
  const auto wanted = static_cast<std::int64_t>(4 * std::sqrt(static_cast<double>(rows)));
  const std::int64_t clusters = std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(1, rows / 4));
  const std::int64_t learned = std::min(rows, clusters * kRowsOfCentroid);
  faiss::ClusteringParameters parameters;
  parameters.spherical = true;
  parameters.niter = 8;
  parameters.seed = 1;
  parameters.min_points_per_centroid = 1;
  parameters.max_points_per_centroid = kRowsOfCentroid;
  faiss::IndexFlatIP index(width);
  faiss::Clustering clustering(static_cast<int>(width), static_cast<int>(clusters), parameters);
  clustering.train(learned, unit_rows(vectors, 0, learned, learned, rows).const_data_ptr<float>(), index);

  RowClusters result{clustering.centroids, {}};
  result.of_rows.reserve(static_cast<std::size_t>(rows));
  const at::Tensor centroids = at::from_blob(result.centroids.data(), {clusters, width}, at::kFloat);
  Progress progress("sorting into clusters", "pictures", rows);
  for (std::int64_t first = 0; first < rows; first += kSortedAtOnce) {
    const std::int64_t count = std::min(kSortedAtOnce, rows - first);
    const at::Tensor nearest =
        products::nt(unit_rows(vectors, first, count, 1, 1), centroids, {}).argmax(1).contiguous();
    const std::int64_t* p = nearest.const_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < count; ++i) result.of_rows.push_back(static_cast<std::uint32_t>(p[i]));
    progress.update(first + count);
  }
  return result;
}

RecallReport measure_recall(const Codes& codes, const StoredVectors& vectors,
                            const std::vector<std::vector<float>>& queries, double wanted) {
  std::vector<std::unordered_set<std::int64_t>> right;
  for (const std::vector<float>& query : queries) {
    std::unordered_set<std::int64_t>& rows = right.emplace_back();
    for (const Neighbour& n : nearest_rows(codes, vectors, query, kRecallAt, 0)) rows.insert(n.row);
  }
  RecallReport report{0, 1.0, static_cast<std::int64_t>(queries.size())};
  const std::int64_t clusters = codes.header().clusters;
  for (std::int64_t looked_at = 4; looked_at <= clusters / 4; looked_at *= 2) {
    double found = 0, all = 0;
    for (std::size_t q = 0; q < queries.size(); ++q) {
      for (const Neighbour& n : nearest_rows(codes, vectors, queries[q], kRecallAt, looked_at)) {
        found += right[q].contains(n.row) ? 1 : 0;
      }
      all += static_cast<double>(right[q].size());
    }
    const double recall = all > 0 ? found / all : 1;
    if (recall >= wanted) return {looked_at, recall, report.queries};
  }
  return report;
}

}  // namespace vicha
