#include "concepts/nearest_index.h"

#include <ATen/ATen.h>
#include <faiss/IndexFlat.h>
#include <faiss/IndexIVFFlat.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

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

constexpr std::int64_t kWordsOfCentroid = 64;  ///< that its place is learned from

/// The method's rule of thumb: about as many comparisons with clusters as with words in the clusters looked at.
std::int64_t clusters_for(std::int64_t words) {
  const auto wanted = static_cast<std::int64_t>(4 * std::sqrt(static_cast<double>(words)));
  return std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(1, words / 4));
}

}  // namespace

struct WordIndex::Impl {
  faiss::IndexFlatIP centroids;
  faiss::IndexIVFFlat index;

  Impl(std::int64_t width, std::int64_t clusters)
      : centroids(width),
        index(&centroids, static_cast<std::size_t>(width), static_cast<std::size_t>(clusters),
              faiss::METRIC_INNER_PRODUCT) {}
};

WordIndex::WordIndex(const at::Tensor& unit_VE)
    : impl_(std::make_unique<Impl>(unit_VE.size(1), clusters_for(unit_VE.size(0)))) {
  faiss::IndexIVFFlat& index = impl_->index;
  index.cp.spherical = true;
  index.cp.niter = 8;
  index.cp.seed = 1;
  index.cp.min_points_per_centroid = 1;
  index.cp.max_points_per_centroid = kWordsOfCentroid;
  const float* words = unit_VE.const_data_ptr<float>();
  index.train(unit_VE.size(0), words);
  index.add(unit_VE.size(0), words);
  index.nprobe = std::min<std::size_t>(4, index.nlist);
}

WordIndex::~WordIndex() = default;

std::vector<std::int64_t> WordIndex::search(const at::Tensor& unit_nE, std::int64_t count) const {
  const std::int64_t n = unit_nE.size(0);
  std::vector<std::int64_t> found(static_cast<std::size_t>(n * count));
  std::vector<float> products(found.size());
  impl_->index.search(n, unit_nE.const_data_ptr<float>(), count, products.data(), found.data());
  return found;
}

bool WordIndex::try_harder() {
  faiss::IndexIVFFlat& index = impl_->index;
  if (index.nprobe * 2 > std::max<std::size_t>(1, index.nlist / 4)) return false;
  index.nprobe *= 2;
  return true;
}

std::string WordIndex::describe() const {
  return fmt::format("index of {} clusters, {} looked at", impl_->index.nlist, impl_->index.nprobe);
}

}  // namespace vicha
