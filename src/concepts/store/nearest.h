// The words nearest to an image by cosine (method, section 6.3). Exact: a matrix product proposes, an inner product in
// double precision decides, so that the result does not depend on blocks, threads or the library that multiplies.
// V words, n images, E width, k words kept.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace vicha {

class WordIndex;

/// Search by an index of clusters (concepts/store/nearest_index) instead of all words.
enum class Approximate { kAuto, kNever, kAlways };

struct NearestOptions {
  std::int64_t k = 15;         ///< cut to the number of words
  bool probabilities = false;  ///< also softmax(scale * cosine) over all words
  double scale = 100.0;
  /// kAuto: beyond a million words, unless probabilities are wanted, which need all of them.
  Approximate approximate = Approximate::kAuto;
  double recall = 0.99;  ///< of an approximate search: measured on images that are searched exactly as well
  std::int64_t block_images = 512, block_words = 8192;  ///< of one product: what it takes in memory, nothing else
};

/// Best word first; equal cosines: lower index first.
struct NearestWords {
  std::int64_t images = 0, k = 0;
  std::vector<std::int32_t> words;   ///< (n, k)
  std::vector<float> cosines;        ///< (n, k)
  std::vector<float> probabilities;  ///< (n, k), or empty

  std::span<const std::int32_t> words_of(std::int64_t image) const { return row(words, image); }
  std::span<const float> cosines_of(std::int64_t image) const { return row(cosines, image); }
  std::span<const float> probabilities_of(std::int64_t image) const { return row(probabilities, image); }
  /// How many of an image's words are at least so probable; 0: all of them.
  std::size_t probable(std::int64_t image, double threshold) const;

 private:
  template <class T>
  std::span<const T> row(const std::vector<T>& values, std::int64_t image) const {
    return {values.data() + image * k, static_cast<std::size_t>(k)};
  }
};

class WordMatcher {
 public:
  /// (V, E) of any length but zero; they are normalised. Throws DataError if there is no word or a vector is not finite
  /// or zero.
  WordMatcher(const at::Tensor& words_VE, const NearestOptions& options);
  ~WordMatcher();

  std::int64_t size() const { return unit_VE_.size(0); }
  std::int64_t width() const { return unit_VE_.size(1); }
  const NearestOptions& options() const { return options_; }
  bool approximate() const { return approximate_; }

  /// (n, E), normalised here. Throws DataError naming the first vector that is not finite or zero. An approximate
  /// search fits its effort to the first images it sees.
  NearestWords nearest(const at::Tensor& images_nE);

 private:
  NearestWords exact(const at::Tensor& unit_nE) const;
  NearestWords searched(const at::Tensor& unit_nE) const;
  void build_index(const at::Tensor& unit_nE);

  NearestOptions options_;
  at::Tensor unit_VE_;
  bool approximate_;
  std::unique_ptr<WordIndex> index_;
};

}  // namespace vicha
