#include "nn/segments.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace vicha {
namespace {

SegmentIndex make_index(const Segments& segments, const at::Device& device) {
  // Kept for whoever comes next, who may want a gradient through it.
  const c10::InferenceMode normal_mode(false);
  const std::int64_t count = static_cast<std::int64_t>(segments.list.size());
  std::int64_t q_most = 0, k_most = 0;
  for (const Segment& s : segments.list) {
    q_most = std::max(q_most, s.q_len);
    k_most = std::max(k_most, s.k_len);
  }
  const std::int64_t mask_rows = segments.causal ? q_most : 1;
  // From pinned memory the copies need not be waited for.
  const auto zeros = [&](at::IntArrayRef shape, at::ScalarType type) {
    return at::zeros(shape, at::TensorOptions().dtype(type).pinned_memory(device.is_cuda()));
  };
  const at::Tensor q_at = zeros({count, q_most}, at::kLong), k_at = zeros({count, k_most}, at::kLong);
  const at::Tensor seen = zeros({count, 1, mask_rows, k_most}, at::kBool), back = zeros({segments.q_rows}, at::kLong);
  auto *q_p = q_at.data_ptr<std::int64_t>(), *k_p = k_at.data_ptr<std::int64_t>();
  auto* back_p = back.data_ptr<std::int64_t>();
  bool* seen_p = seen.data_ptr<bool>();
  for (std::int64_t i = 0; i < count; ++i) {
    const Segment& s = segments.list[static_cast<std::size_t>(i)];
    std::iota(q_p + i * q_most, q_p + i * q_most + s.q_len, s.q_begin);
    std::iota(k_p + i * k_most, k_p + i * k_most + s.k_len, s.k_begin);
    std::iota(back_p + s.q_begin, back_p + s.q_begin + s.q_len, i * q_most);
    for (std::int64_t row = 0; row < mask_rows; ++row) {  // padded queries see something too, or they would be NaN
      bool* line = seen_p + (i * mask_rows + row) * k_most;
      std::fill(line, line + segments.keys_seen(s, std::min(row, s.q_len - 1)), true);
    }
  }
  const auto there = [&](const at::Tensor& x) { return x.to(device, x.scalar_type(), true); };
  return {there(q_at), there(k_at), there(seen), there(back)};
}

}  // namespace

const SegmentIndex& Segments::index_on(const at::Device& device) const {
  return indices_.get(device, [&] { return make_index(*this, device); });
}

SegmentsPtr Segments::uniform(std::int64_t count, std::int64_t length, std::span<const std::int64_t> real) {
  VICHA_ASSERT(real.empty() || static_cast<std::int64_t>(real.size()) == count);
  auto result = std::make_shared<Segments>();
  result->q_rows = result->k_rows = count * length;
  result->list.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    result->list.push_back({i * length, length, i * length, real.empty() ? length : real[static_cast<std::size_t>(i)]});
  }
  return result;
}

namespace {

std::shared_ptr<Segments> one_after_the_other(std::span<const std::int64_t> lengths) {
  auto result = std::make_shared<Segments>();
  result->list.reserve(lengths.size());
  std::int64_t at = 0;
  for (const std::int64_t length : lengths) {
    result->list.push_back({at, length, at, length});
    at += length;
  }
  result->q_rows = result->k_rows = at;
  return result;
}

}  // namespace

SegmentsPtr Segments::packed(std::span<const std::int64_t> lengths) { return one_after_the_other(lengths); }

SegmentsPtr Segments::causal_packed(std::span<const std::int64_t> lengths) {
  auto result = one_after_the_other(lengths);
  result->causal = true;
  return result;
}

SegmentsPtr Segments::joined(const std::vector<SegmentsPtr>& parts) {
  auto result = std::make_shared<Segments>();
  for (const SegmentsPtr& part : parts) {
    VICHA_ASSERT(part->causal == parts.front()->causal);
    result->causal = part->causal;
    for (Segment s : part->list) {
      s.q_begin += result->q_rows;
      s.k_begin += result->k_rows;
      result->list.push_back(s);
    }
    result->q_rows += part->q_rows;
    result->k_rows += part->k_rows;
  }
  return result;
}

SegmentsPtr Segments::cross(std::span<const std::int64_t> lengths, std::span<const std::int64_t> block,
                            std::int64_t blocks, std::int64_t block_rows) {
  VICHA_ASSERT(lengths.size() == block.size());
  auto result = std::make_shared<Segments>();
  result->k_rows = blocks * block_rows;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    VICHA_ASSERT(block[i] >= 0 && block[i] < blocks);
    result->list.push_back({result->q_rows, lengths[i], block[i] * block_rows, block_rows});
    result->q_rows += lengths[i];
  }
  std::stable_sort(result->list.begin(), result->list.end(),
                   [](const Segment& a, const Segment& b) { return a.k_begin < b.k_begin; });
  return result;
}

}  // namespace vicha
