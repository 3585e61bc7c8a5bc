#include "align/features.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace vicha {
namespace {

bool is_stored_type(at::ScalarType type) {
  return type == at::kFloat || type == at::kHalf || type == at::kBFloat16 || type == at::kChar;
}

/// A permutation in which pairs come when their image is not among those of the step that is being filled; what had to
/// wait is asked first for the next step. Where only such pairs are left, they fill the rest.
std::vector<std::int32_t> with_distinct_images(const std::vector<std::int32_t>& shuffled,
                                               const std::vector<FeaturePair>& pairs, std::int64_t images,
                                               std::int64_t step_size) {
  std::vector<std::int32_t> order, waiting, still;
  order.reserve(shuffled.size());
  std::vector<std::int64_t> last_step(static_cast<std::size_t>(images), -1);
  const auto step_of_next = [&] { return static_cast<std::int64_t>(order.size()) / step_size; };
  const auto take = [&](std::int32_t pair) {
    std::int64_t& last = last_step[static_cast<std::size_t>(pairs[static_cast<std::size_t>(pair)].image)];
    if (last == step_of_next()) return false;
    last = step_of_next();
    order.push_back(pair);
    return true;
  };
  for (std::size_t next = 0; next < shuffled.size() || !waiting.empty();) {
    const std::int64_t step = step_of_next();
    still.clear();
    for (const std::int32_t pair : waiting) {
      // A full step ends the round: the others wait on, as they are.
      if (step_of_next() != step || !take(pair)) still.push_back(pair);
    }
    waiting.swap(still);
    for (; next < shuffled.size() && step_of_next() == step; ++next) {
      if (!take(shuffled[next])) waiting.push_back(shuffled[next]);
    }
    if (step_of_next() != step || waiting.empty()) continue;
    const auto missing = static_cast<std::size_t>((step + 1) * step_size) - order.size();
    const auto end = waiting.begin() + static_cast<std::ptrdiff_t>(std::min(missing, waiting.size()));
    order.insert(order.end(), waiting.begin(), end);
    waiting.erase(waiting.begin(), end);
  }
  return order;
}

}  // namespace

FeatureMatrix::FeatureMatrix(at::Tensor rows, std::string name, std::int64_t views, at::Tensor scale_N)
    : rows_(std::move(rows)), scale_(std::move(scale_N)), name_(std::move(name)), views_(views) {
  VICHA_ASSERT(views_ > 0);
  if (rows_.dim() != 2 || rows_.size(1) == 0 || !is_stored_type(rows_.scalar_type())) {
    throw DataError(name_, "holds no rows of fp32, fp16, bf16 or int8 numbers", "Embed the data again");
  }
  kept_ = {.rows = rows_.size(0), .width = rows_.size(1), .gather = {}};
  check_views();
  if ((rows_.scalar_type() == at::kChar) != scale_.defined() || (scale_.defined() && scale_.numel() != rows_.size(0))) {
    throw DataError(name_, "int8 features need one scale a row, and no others have any", "Embed the data again");
  }
}

FeatureMatrix::FeatureMatrix(KeptRows kept, std::string name, std::int64_t views)
    : kept_(std::move(kept)), name_(std::move(name)), views_(views) {
  VICHA_ASSERT(views_ > 0 && kept_.width > 0 && kept_.gather);
  check_views();
}

void FeatureMatrix::check_views() const {
  if (kept_.rows > 0 && kept_.rows % views_ == 0) return;
  throw DataError(name_, fmt::format("has {} rows, which are not {} views of each item", kept_.rows, views_),
                  "Embed the data again");
}

at::Tensor FeatureMatrix::converted(const at::Tensor& rows, const at::Tensor& scale) const {
  const at::Tensor numbers = rows.to(at::kFloat);
  return scale.defined() ? numbers * scale.unsqueeze(1) : numbers;
}

at::Tensor FeatureMatrix::gather(const at::Tensor& rows_B) const {
  if (kept_.gather) return kept_.gather(rows_B);
  return converted(rows_.index_select(0, rows_B), scale_.defined() ? scale_.index_select(0, rows_B) : scale_);
}

at::Tensor FeatureMatrix::block(std::int64_t begin, std::int64_t end) const {
  if (kept_.gather) return kept_.gather(at::arange(begin, end, at::kLong));
  return converted(rows_.slice(0, begin, end), scale_.defined() ? scale_.slice(0, begin, end) : scale_);
}

FeatureMoments feature_moments(const FeatureMatrix& features) {
  constexpr std::int64_t kBlock = 4096;
  constexpr double kHardlyChanges = 1e-3;  // twice what fp16 rounds a number by
  at::Tensor sum = at::zeros({features.width()}, at::kDouble), squares = at::zeros_like(sum);
  for (std::int64_t begin = 0; begin < features.rows(); begin += kBlock) {
    const at::Tensor block = features.block(begin, std::min(features.rows(), begin + kBlock));
    const at::Tensor exact = block.to(at::kDouble);  // means may be large beside deviations
    const at::Tensor part = exact.sum(0);
    if (!part.isfinite().all().item<bool>()) {
      const at::Tensor bad = block.isfinite().all(1).logical_not();
      const std::int64_t row = begin + bad.to(at::kInt).argmax().item<std::int64_t>();
      throw DataError(features.name(),
                      fmt::format("row {} (item {}) has a NaN or an infinity", row, row / features.views()),
                      "Embed that item again or leave it out");
    }
    sum += part;
    squares += exact.square().sum(0);
  }
  const auto n = static_cast<double>(features.rows());
  const at::Tensor mean = sum / n;
  const at::Tensor deviation = (squares / n - mean.square()).clamp_min_(0.0).sqrt_();
  // A number that hardly changes is rounding: stored as fp16 it is other rounding than when a raw picture or text
  // passes its tower, and divided by its own deviation it would be as loud as the rest. (MiniLM has one: 1e-8 in all
  // texts.)
  const at::Tensor typical = deviation.square().mean().sqrt();
  const at::Tensor constant = deviation.le(at::maximum(mean.abs(), typical) * kHardlyChanges + 1e-12);
  return {mean.to(at::kFloat), deviation.masked_fill(constant, 1.0).to(at::kFloat)};
}

void set_groups(std::vector<FeaturePair>& pairs, PairPositives positives) {
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    FeaturePair& pair = pairs[i];
    pair.group = positives == PairPositives::kText    ? pair.text
                 : positives == PairPositives::kImage ? pair.image
                                                      : static_cast<std::int64_t>(i);
  }
}

FeatureBatchSource::FeatureBatchSource(const FeatureMatrix& image, const FeatureMatrix& text,
                                       std::vector<FeaturePair> pairs, const FeatureBatchOptions& options,
                                       std::int64_t seed, const Group& group)
    : image_(image),
      text_(text),
      pairs_(std::move(pairs)),
      options_(options),
      seed_(static_cast<std::uint64_t>(seed)),
      group_(group) {
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    const auto require = [&](std::int64_t item, const FeatureMatrix& features, const char* kind) {
      if (item >= 0 && item < features.size()) return;
      throw DataError(features.name(),
                      fmt::format("has {} {}s, but pair {} names number {}", features.size(), kind, i, item),
                      "Features and manifest must belong together; embed again");
    };
    require(pairs_[i].image, image_, "image");
    require(pairs_[i].text, text_, "text");
  }
  if (pairs_.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    throw DataError(image_.name(), fmt::format("{} pairs are more than an epoch can have", pairs_.size()), "Use fewer");
  }
  if (batches_per_epoch() == 0) {
    throw DataError(image_.name(),
                    fmt::format("{} pairs are fewer than one step takes ({} of each of {} processes)", pairs_.size(),
                                options_.batch_size, group_.size()),
                    "Make data.batch_size smaller or add data");
  }
}

std::int64_t FeatureBatchSource::batches_per_epoch() const {
  return static_cast<std::int64_t>(pairs_.size()) / step_size();
}

std::vector<std::int32_t> FeatureBatchSource::order(std::int64_t epoch) const {
  std::vector<std::int32_t> shuffled(pairs_.size());
  std::iota(shuffled.begin(), shuffled.end(), 0);
  Rng rng(mix_seed({seed_, static_cast<std::uint64_t>(epoch)}));
  for (std::size_t i = shuffled.size(); i > 1; --i) std::swap(shuffled[i - 1], shuffled[rng.below(i)]);
  if (!options_.distinct_images) return shuffled;
  return with_distinct_images(shuffled, pairs_, image_.size(), step_size());
}

void FeatureBatchSource::seek(std::int64_t epoch, std::int64_t batch_in_epoch) {
  VICHA_ASSERT(epoch >= 0 && batch_in_epoch >= 0 && batch_in_epoch < batches_per_epoch());
  if (epoch != epoch_) order_ = order(epoch);
  epoch_ = epoch;
  batch_ = batch_in_epoch;
}

Batch FeatureBatchSource::next() {
  if (epoch_ < 0) seek(0, 0);
  if (batch_ == batches_per_epoch()) seek(epoch_ + 1, 0);
  const std::int64_t n = options_.batch_size, first = batch_ * step_size() + group_.rank() * n;
  const at::Tensor image_rows = at::empty({n}, at::kLong), text_rows = at::empty({n}, at::kLong),
                   groups = at::empty({n}, at::kLong);
  std::int64_t *image = image_rows.data_ptr<std::int64_t>(), *text = text_rows.data_ptr<std::int64_t>();
  std::int64_t* group = groups.data_ptr<std::int64_t>();
  Batch batch;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t number = order_[static_cast<std::size_t>(first + i)];
    const FeaturePair& pair = pairs_[static_cast<std::size_t>(number)];
    Rng rng(mix_seed({seed_, static_cast<std::uint64_t>(epoch_), static_cast<std::uint64_t>(number), 1}));
    const auto view = [&](const FeatureMatrix& of, std::int64_t item) {
      const auto views = static_cast<std::uint64_t>(of.views());
      return item * of.views() + (views > 1 ? static_cast<std::int64_t>(rng.below(views)) : 0);
    };
    image[i] = view(image_, pair.image);
    text[i] = view(text_, pair.text);
    group[i] = pair.group;
    batch.records.push_back(number);
  }
  FeatureTargets targets;
  targets.image = image_.gather(image_rows);
  targets.text = text_.gather(text_rows);
  targets.groups = groups;
  batch.add(std::move(targets));
  ++batch_;
  return batch;
}

}  // namespace vicha
