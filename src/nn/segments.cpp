#include "nn/segments.h"

#include <algorithm>

#include "base/error.h"

namespace vicha {

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
