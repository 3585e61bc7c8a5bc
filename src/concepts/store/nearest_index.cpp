#include "concepts/store/nearest_index.h"

#include <ATen/ATen.h>
#include <faiss/Clustering.h>
#include <faiss/IndexFlat.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "nn/kernel_choice.h"

// FAISS's k-means comes in one object file with its rotations and principal components, which call four functions of
// LAPACK and BLAS that LibTorch's library does not export. Nothing here rotates, so they are never called; defining
// them (weakly: where a library has them, its own are taken) keeps a second BLAS, with threads of its own, out of the
// process.
extern "C" {
[[gnu::weak]] void dgesvd_() { vicha::assertion_failed("dgesvd_ is not called", __FILE__, __LINE__); }
[[gnu::weak]] void sgesvd_() { vicha::assertion_failed("sgesvd_ is not called", __FILE__, __LINE__); }
[[gnu::weak]] void dsyev_() { vicha::assertion_failed("dsyev_ is not called", __FILE__, __LINE__); }
[[gnu::weak]] void ssyrk_() { vicha::assertion_failed("ssyrk_ is not called", __FILE__, __LINE__); }
}

namespace vicha {
namespace {

constexpr std::int64_t kWordsOfCentroid = 64;  ///< that its position is learned from
constexpr std::int64_t kRowsAtOnce = 4096;

/// The usual rule: about as many comparisons with clusters as with words in the clusters looked at.
std::int64_t clusters_for(std::int64_t words) {
  const auto wanted = static_cast<std::int64_t>(4 * std::sqrt(static_cast<double>(words)));
  return std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(1, words / 4));
}

/// (C, E), of length 1.
at::Tensor find_centroids(const at::Tensor& unit_VE, std::int64_t clusters) {
  faiss::ClusteringParameters parameters;
  parameters.spherical = true;
  parameters.niter = 8;
  parameters.seed = 1;
  parameters.min_points_per_centroid = 1;
  parameters.max_points_per_centroid = kWordsOfCentroid;
  faiss::IndexFlatIP index(unit_VE.size(1));
  faiss::Clustering clustering(static_cast<int>(unit_VE.size(1)), static_cast<int>(clusters), parameters);
  clustering.train(unit_VE.size(0), unit_VE.const_data_ptr<float>(), index);
  at::Tensor centroids = at::empty({clusters, unit_VE.size(1)}, at::kFloat);
  std::copy(clustering.centroids.begin(), clustering.centroids.end(), centroids.data_ptr<float>());
  return centroids;
}

/// The `count` best columns of each row, (n, count).
at::Tensor best_columns(const at::Tensor& scores, std::int64_t count) {
  return (count == 1 ? scores.argmax(1, true) : std::get<1>(scores.topk(count, 1, true, false))).contiguous();
}

}  // namespace

WordIndex::WordIndex(const at::Tensor& unit_VE)
    : centroids_CE_(find_centroids(unit_VE, clusters_for(unit_VE.size(0)))),
      words_(static_cast<std::size_t>(unit_VE.size(0))),
      begin_(static_cast<std::size_t>(clusters()) + 1, 0) {
  const std::int64_t count = unit_VE.size(0);
  std::vector<std::int64_t> cluster_of;
  cluster_of.reserve(words_.size());
  for (std::int64_t first = 0; first < count; first += kRowsAtOnce) {
    const at::Tensor part = unit_VE.slice(0, first, std::min(count, first + kRowsAtOnce));
    const at::Tensor nearest = best_columns(products::nt(part, centroids_CE_, {}), 1);
    const std::int64_t* p = nearest.const_data_ptr<std::int64_t>();
    cluster_of.insert(cluster_of.end(), p, p + nearest.numel());
  }
  for (const std::int64_t cluster : cluster_of) ++begin_[static_cast<std::size_t>(cluster) + 1];
  for (std::size_t c = 1; c < begin_.size(); ++c) begin_[c] += begin_[c - 1];
  std::vector<std::int64_t> next(begin_.begin(), begin_.end() - 1);
  sorted_VE_ = at::empty_like(unit_VE);
  const std::int64_t width = unit_VE.size(1);
  for (std::int64_t word = 0; word < count; ++word) {
    const std::int64_t to = next[static_cast<std::size_t>(cluster_of[static_cast<std::size_t>(word)])]++;
    words_[static_cast<std::size_t>(to)] = static_cast<std::int32_t>(word);
    std::copy_n(unit_VE.const_data_ptr<float>() + word * width, width, sorted_VE_.data_ptr<float>() + to * width);
  }
  looked_at_ = std::min(looked_at_, clusters());
}

void WordIndex::search(const at::Tensor& unit_nE, const See& see) const {
  for (std::int64_t start = 0; start < unit_nE.size(0); start += kRowsAtOnce) {
    const at::Tensor part = unit_nE.slice(0, start, std::min(unit_nE.size(0), start + kRowsAtOnce));
    const at::Tensor best = best_columns(products::nt(part, centroids_CE_, {}), looked_at_);
    std::vector<std::vector<std::int64_t>> asked_by(static_cast<std::size_t>(clusters()));
    for (std::int64_t i = 0; i < best.numel(); ++i) {
      asked_by[static_cast<std::size_t>(best.const_data_ptr<std::int64_t>()[i])].push_back(i / looked_at_);
    }
    for (std::size_t c = 0; c < asked_by.size(); ++c) {
      std::vector<std::int64_t>& rows = asked_by[c];
      if (rows.empty() || begin_[c] == begin_[c + 1]) continue;
      const at::Tensor images = part.index_select(0, at::tensor(rows, at::kLong));
      const at::Tensor scores = products::nt(images, sorted_VE_.slice(0, begin_[c], begin_[c + 1]), {});
      for (std::int64_t& row : rows) row += start;
      see(rows, begin_[c], scores);
    }
  }
}

bool WordIndex::try_harder() {
  if (2 * looked_at_ > std::max<std::int64_t>(1, clusters() / 4)) return false;
  looked_at_ *= 2;
  return true;
}

std::string WordIndex::describe() const {
  return fmt::format("index of {} clusters, {} looked at", clusters(), looked_at_);
}

}  // namespace vicha
