// Pictures in clusters, for indexes of so many that a search should not look at all of them.
#pragma once

#include <cstdint>
#include <vector>

#include "search/codes.h"
#include "search/stored_vectors.h"

namespace vicha {

struct RowClusters {
  std::vector<float> centroids;  ///< clusters * width, of length 1
  std::vector<std::uint32_t> of_rows;
};
/// k-means on some of the rows (FAISS), then each row to the centroid that is nearest. Deterministic.
RowClusters cluster_rows(const StoredVectors& vectors);

struct RecallReport {
  std::int64_t looked_at = 0;  ///< clusters
  double recall = 0;           ///< mean share of the ten nearest that are found
  std::int64_t queries = 0;
};
/// The least number of clusters, doubled from 4 on, by which `queries` (q, E of length 1) find so much of what
/// comparing everything finds; all clusters where a quarter of them does not suffice.
RecallReport measure_recall(const Codes& codes, const StoredVectors& vectors,
                            const std::vector<std::vector<float>>& queries, double wanted);

}  // namespace vicha
