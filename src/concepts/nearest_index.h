// Words in clusters, so that a search in a vocabulary of millions looks at a part of them: FAISS's inverted file with
// whole vectors. Clusters rather than a graph (HNSW): they are built by matrix products in about a minute for a million
// words on two cores, where a graph takes tens of minutes.
// V words, n pictures, E width. All vectors have length 1.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vicha {

class WordIndex {
 public:
  /// (V, E) fp32; copied. Deterministic.
  explicit WordIndex(const at::Tensor& unit_VE);
  ~WordIndex();

  /// For each row of (n, E) the `count` words of the largest inner product among those it looks at, in that order, -1
  /// where it looks at fewer: (n, count).
  std::vector<std::int64_t> search(const at::Tensor& unit_nE, std::int64_t count) const;

  /// Looks at twice as many clusters from now on; false if that would be more than a quarter of them.
  bool try_harder();
  std::string describe() const;  ///< "index of 4000 clusters, 16 looked at"

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vicha
