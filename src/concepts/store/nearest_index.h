// Words in clusters, so that a search in a vocabulary of millions looks at only some of them. FAISS finds the clusters
// (k-means); the comparisons are matrix products of each cluster's words with all images of a batch that search it.
//
// Measured against the other ways on 2 cores, 300,000 words 512 wide, 2,000 images: FAISS's own inverted file reads a
// cluster's words again for every image, 32 times slower a word than a product, and with the share of the clusters
// that images need (they lie far from words in CLIP's space) took 3.7 times as long as comparing everything. A graph
// (HNSW) takes tens of minutes to build for a million words.
// V words, n images, E width. All vectors have length 1.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace vicha {

class WordIndex {
 public:
  /// (V, E) fp32; copied, cluster by cluster. Deterministic.
  explicit WordIndex(const at::Tensor& unit_VE);

  /// Products (images of `rows`, words of one cluster) of the words at index `first`, first + 1, …
  using See = std::function<void(std::span<const std::int64_t> rows, std::int64_t first, const at::Tensor& scores)>;
  /// Compares each row of (n, E) with the words of the clusters nearest to it.
  void search(const at::Tensor& unit_nE, const See& see) const;
  /// The word at an index in the clusters' order.
  std::int32_t word(std::int64_t index) const { return words_[static_cast<std::size_t>(index)]; }

  /// Looks at twice as many clusters from now on; false if that would be more than a quarter of them.
  bool try_harder();
  std::string describe() const;  ///< "index of 4000 clusters, 16 looked at"

 private:
  std::int64_t clusters() const { return centroids_CE_.size(0); }

  at::Tensor centroids_CE_, sorted_VE_;
  std::vector<std::int32_t> words_;  ///< in the clusters' order
  std::vector<std::int64_t> begin_;  ///< first index of each cluster, and the end
  std::int64_t looked_at_ = 4;
};

}  // namespace vicha
