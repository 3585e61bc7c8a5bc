// The pictures of an index nearest to a vector.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "search/codes.h"
#include "search/stored_vectors.h"

namespace vicha {

struct Neighbour {
  std::int64_t row;
  double cosine;
};

/// How a query's cosines are spread over the pictures of an index.
struct Spread {
  double mean = 0, deviation = 0;
};

/// `k` of them, cut to the number there is; best first, equal cosines by the lower row. `unit`: of length 1.
/// `looked_at`: clusters whose pictures are compared; 0, or an index without clusters: all of them, and then the result
/// is exact (search/codes.h says why). All of LibTorch's threads.
std::vector<Neighbour> nearest_rows(const Codes& codes, const StoredVectors& vectors, std::span<const float> unit,
                                    std::int64_t k, std::int64_t looked_at);

/// From the stored moments, without looking at a picture.
Spread spread_of(const Codes& codes, std::span<const float> unit);

}  // namespace vicha
