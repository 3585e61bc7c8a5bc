#include "concepts/store/nearest.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "concepts/store/nearest_index.h"
#include "nn/kernel_choice.h"
#include "nn/simd.h"
#include "nn/vector_math.h"

namespace vicha {
namespace {

constexpr std::int64_t kApproximateBeyond = 1'000'000;
constexpr std::int64_t kGroup = 64;  ///< scores looked at together

VICHA_MULTIVERSION float largest(const float* x, std::int64_t count) {
  float best[16];
  for (float& b : best) b = -std::numeric_limits<float>::infinity();
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    for (int j = 0; j < 16; ++j) best[j] = x[i + j] > best[j] ? x[i + j] : best[j];
  }
  for (; i < count; ++i) best[0] = x[i] > best[0] ? x[i] : best[0];
  for (int j = 1; j < 16; ++j) best[0] = best[j] > best[0] ? best[j] : best[0];
  return best[0];
}

/// Sum of exp(scale * (x - peak)).
VICHA_MULTIVERSION double exponentials(const float* x, std::int64_t count, float scale, float peak) {
  float sum[16] = {};
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    for (int j = 0; j < 16; ++j) sum[j] += fast_exp(scale * (x[i + j] - peak));
  }
  for (; i < count; ++i) sum[0] += fast_exp(scale * (x[i] - peak));
  double total = 0;
  for (const float s : sum) total += s;
  return total;
}

double inner_product(const float* a, const float* b, std::int64_t width) {
  double sum[4] = {};
  std::int64_t i = 0;
  for (; i + 4 <= width; i += 4) {
    for (int j = 0; j < 4; ++j) sum[j] += static_cast<double>(a[i + j]) * static_cast<double>(b[i + j]);
  }
  for (; i < width; ++i) sum[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/// How far a product in single precision can be from the true cosine of two unit vectors, whatever the order of its
/// sums; with room for the rounding of the unit vectors' lengths.
float rounding_bound(std::int64_t width) {
  return static_cast<float>(width + 8) * std::numeric_limits<float>::epsilon() * 0.5f;
}

/// The words that may be among the k best of one image, while scores come block by block.
class Candidates {
 public:
  Candidates(std::int64_t k, float slack) : k_(static_cast<std::size_t>(k)), slack_(slack), room_(4 * k_ + kGroup) {}

  void look_at(const float* scores, std::int64_t count, std::int64_t first_word) {
    for (std::int64_t i = 0; i < count; i += kGroup) {
      const std::int64_t end = std::min(count, i + kGroup);
      if (largest(scores + i, end - i) < least_) continue;
      for (std::int64_t j = i; j < end; ++j) {
        if (scores[j] >= least_) found_.emplace_back(scores[j], static_cast<std::int32_t>(first_word + j));
      }
      if (found_.size() >= room_) prune();
    }
  }
  void add_to_softmax(const float* scores, std::int64_t count, float scale) {
    const float peak = std::max(peak_, largest(scores, count));
    sum_ = sum_ * std::exp(static_cast<double>(scale) * (peak_ - peak)) + exponentials(scores, count, scale, peak);
    peak_ = peak;
  }
  double log_sum(float scale) const { return static_cast<double>(scale) * peak_ + std::log(sum_); }

  /// Leaves those whose score is within rounding of the k best.
  void prune() {
    if (found_.size() > k_) {
      const auto kth = found_.begin() + static_cast<std::ptrdiff_t>(k_) - 1;
      std::nth_element(found_.begin(), kth, found_.end(),
                       [](const auto& a, const auto& b) { return a.first > b.first; });
      least_ = kth->first - slack_;
      std::erase_if(found_, [this](const auto& f) { return f.first < least_; });
    }
    room_ = std::max(room_, 2 * found_.size());
  }
  const std::vector<std::pair<float, std::int32_t>>& found() const { return found_; }

 private:
  std::size_t k_;
  float slack_, least_ = -std::numeric_limits<float>::infinity();
  std::size_t room_;
  std::vector<std::pair<float, std::int32_t>> found_;
  float peak_ = -std::numeric_limits<float>::infinity();
  double sum_ = 0;
};

/// The k best of some words by cosines in double precision, into a row of the result.
template <class Indices>
void decide(const float* image, const at::Tensor& unit_VE, const Indices& indices, std::int64_t row,
            NearestWords& result) {
  const std::int64_t width = unit_VE.size(1);
  const float* words = unit_VE.const_data_ptr<float>();
  std::vector<std::pair<double, std::int32_t>> exact;
  exact.reserve(indices.size());
  for (const std::int32_t index : indices)
    exact.emplace_back(inner_product(image, words + index * width, width), index);
  const auto kept =
      static_cast<std::ptrdiff_t>(std::min<std::size_t>(exact.size(), static_cast<std::size_t>(result.k)));
  std::partial_sort(exact.begin(), exact.begin() + kept, exact.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  VICHA_ASSERT(kept == result.k);
  for (std::ptrdiff_t i = 0; i < kept; ++i) {
    const auto place = static_cast<std::size_t>(row * result.k + i);
    result.words[place] = exact[static_cast<std::size_t>(i)].second;
    result.cosines[place] = static_cast<float>(exact[static_cast<std::size_t>(i)].first);
  }
}

NearestWords empty_result(std::int64_t images, std::int64_t k) {
  NearestWords result;
  result.images = images;
  result.k = k;
  result.words.resize(static_cast<std::size_t>(images * k));
  result.cosines.resize(result.words.size());
  return result;
}

at::Tensor unit(const at::Tensor& rows, std::string_view what) {
  if (rows.dim() != 2) throw DataError(what, "are not a matrix of embeddings");
  const at::Tensor values = rows.to(at::kCPU, at::kFloat).contiguous();
  at::Tensor result = at::empty_like(values);
  const std::int64_t width = values.size(1);
  const float* in = values.const_data_ptr<float>();
  float* out = result.data_ptr<float>();
  std::atomic<std::int64_t> bad = -1;
  at::parallel_for(0, values.size(0), 256, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const double length = std::sqrt(inner_product(in + i * width, in + i * width, width));
      if (!std::isfinite(length) || length == 0) {
        bad = i;
        return;
      }
      for (std::int64_t j = 0; j < width; ++j) out[i * width + j] = static_cast<float>(in[i * width + j] / length);
    }
  });
  if (bad >= 0) {
    throw DataError(what, fmt::format("number {} is zero or not finite", bad.load()),
                    "The weights that it comes from are not what they should be");
  }
  return result;
}

}  // namespace

std::size_t NearestWords::probable(std::int64_t image, double threshold) const {
  if (threshold <= 0) return static_cast<std::size_t>(k);
  const std::span<const float> all = probabilities_of(image);
  const auto below = [&](float p) { return static_cast<double>(p) < threshold; };
  return static_cast<std::size_t>(std::find_if(all.begin(), all.end(), below) - all.begin());
}

WordMatcher::WordMatcher(const at::Tensor& words_VE, const NearestOptions& options)
    : options_(options), unit_VE_(unit(words_VE, "embeddings of the vocabulary")) {
  if (size() == 0) throw DataError("vocabulary", "has no words", "Nothing can be assigned from it");
  VICHA_ASSERT(options_.k > 0 && options_.block_images > 0 && options_.block_words > 0);
  VICHA_ASSERT(size() <= std::numeric_limits<std::int32_t>::max());
  options_.k = std::min(options_.k, size());
  approximate_ = options_.approximate == Approximate::kAlways ||
                 (options_.approximate == Approximate::kAuto && size() > kApproximateBeyond);
  if (options_.probabilities) approximate_ = false;
}

WordMatcher::~WordMatcher() = default;

NearestWords WordMatcher::nearest(const at::Tensor& images_nE) {
  const at::NoGradGuard guard;
  if (images_nE.dim() != 2 || images_nE.size(1) != width()) {
    throw DataError("embeddings of the pictures",
                    fmt::format("are {} wide, and those of the vocabulary {}",
                                images_nE.dim() == 2 ? images_nE.size(1) : 0, width()),
                    "Use the same source for both");
  }
  const at::Tensor unit_nE = unit(images_nE, "embeddings of the pictures");
  if (approximate_ && !index_ && unit_nE.size(0) > 0) build_index(unit_nE);
  return approximate_ ? searched(unit_nE) : exact(unit_nE);
}

NearestWords WordMatcher::exact(const at::Tensor& unit_nE) const {
  const std::int64_t n = unit_nE.size(0), words = size();
  const std::int64_t blocks = (words + options_.block_words - 1) / options_.block_words;
  const std::int64_t block = (words + blocks - 1) / blocks;  // of nearly equal size
  const float slack = 2 * rounding_bound(width()), scale = static_cast<float>(options_.scale);
  NearestWords result = empty_result(n, options_.k);
  if (options_.probabilities) result.probabilities.resize(result.words.size());
  for (std::int64_t first = 0; first < n; first += options_.block_images) {
    const at::Tensor images = unit_nE.slice(0, first, std::min(n, first + options_.block_images));
    std::vector<Candidates> candidates(static_cast<std::size_t>(images.size(0)), Candidates(options_.k, slack));
    for (std::int64_t from = 0; from < words; from += block) {
      const std::int64_t count = std::min(block, words - from);
      const at::Tensor scores = products::nt(images, unit_VE_.slice(0, from, from + count), {});
      const float* p = scores.const_data_ptr<float>();
      at::parallel_for(0, images.size(0), 8, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          Candidates& mine = candidates[static_cast<std::size_t>(i)];
          mine.look_at(p + i * count, count, from);
          if (options_.probabilities) mine.add_to_softmax(p + i * count, count, scale);
        }
      });
    }
    at::parallel_for(0, images.size(0), 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        Candidates& mine = candidates[static_cast<std::size_t>(i)];
        mine.prune();
        std::vector<std::int32_t> indices;
        for (const auto& [score, index] : mine.found()) indices.push_back(index);
        const std::int64_t row = first + i;
        decide(unit_nE.const_data_ptr<float>() + row * width(), unit_VE_, indices, row, result);
        if (!options_.probabilities) continue;
        const double log_sum = mine.log_sum(scale);
        for (std::int64_t j = row * options_.k; j < (row + 1) * options_.k; ++j) {
          const auto place = static_cast<std::size_t>(j);
          result.probabilities[place] =
              static_cast<float>(std::min(1.0, std::exp(static_cast<double>(scale) * result.cosines[place] - log_sum)));
        }
      }
    });
  }
  return result;
}

void WordMatcher::build_index(const at::Tensor& unit_nE) {
  constexpr std::int64_t kSample = 256;
  const std::int64_t n = unit_nE.size(0), count = std::min(n, kSample);
  std::vector<std::int64_t> spread;
  for (std::int64_t i = 0; i < count; ++i) spread.push_back(i * n / count);
  const at::Tensor sample = unit_nE.index_select(0, at::tensor(spread, at::kLong));
  const NearestWords right = exact(sample);
  log::info("indexing {} words", size());
  index_ = std::make_unique<WordIndex>(unit_VE_);
  double recall = 0;
  while (true) {
    const NearestWords got = searched(sample);
    std::int64_t same = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const auto wanted = right.words_of(i), found = got.words_of(i);
      for (const std::int32_t word : wanted) same += std::find(found.begin(), found.end(), word) != found.end();
    }
    recall = static_cast<double>(same) / static_cast<double>(right.words.size());
    if (recall >= options_.recall || !index_->try_harder()) break;
  }
  if (recall >= options_.recall) {
    log::info("{}: finds {:.2f} % of the {} best words of {} pictures", index_->describe(), 100 * recall, options_.k,
              count);
    return;
  }
  log::info("an index would have to look at most words to find {:.0f} %: all are compared", 100 * options_.recall);
  index_.reset();
  approximate_ = false;
}

NearestWords WordMatcher::searched(const at::Tensor& unit_nE) const {
  const std::int64_t n = unit_nE.size(0);
  NearestWords result = empty_result(n, options_.k);
  std::vector<Candidates> candidates(static_cast<std::size_t>(n), Candidates(options_.k, 2 * rounding_bound(width())));
  index_->search(unit_nE, [&](std::span<const std::int64_t> rows, std::int64_t first, const at::Tensor& scores) {
    const std::int64_t count = scores.size(1);
    const float* p = scores.const_data_ptr<float>();
    at::parallel_for(0, scores.size(0), 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        candidates[static_cast<std::size_t>(rows[static_cast<std::size_t>(i)])].look_at(p + i * count, count, first);
      }
    });
  });
  std::vector<char> too_few(static_cast<std::size_t>(n), 0);
  at::parallel_for(0, n, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      Candidates& mine = candidates[static_cast<std::size_t>(row)];
      mine.prune();
      std::vector<std::int32_t> indices;
      for (const auto& [score, place] : mine.found()) indices.push_back(index_->word(place));
      if (static_cast<std::int64_t>(indices.size()) < options_.k) {
        too_few[static_cast<std::size_t>(row)] = 1;
      } else {
        decide(unit_nE.const_data_ptr<float>() + row * width(), unit_VE_, indices, row, result);
      }
    }
  });
  // Clusters so small that those looked at hold fewer than k words: rare, and then all words are compared.
  for (std::int64_t row = 0; row < n; ++row) {
    if (too_few[static_cast<std::size_t>(row)] == 0) continue;
    const NearestWords one = exact(unit_nE.slice(0, row, row + 1));
    std::copy(one.words.begin(), one.words.end(), result.words.begin() + row * options_.k);
    std::copy(one.cosines.begin(), one.cosines.end(), result.cosines.begin() + row * options_.k);
  }
  return result;
}

}  // namespace vicha
