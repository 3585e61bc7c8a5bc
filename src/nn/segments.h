// Which rows of a packed (T, D) matrix attend to which: sequences of different lengths lie one after the other, without
// padding, and a segment says that rows [q_begin, q_begin + q_len) attend to key rows [k_begin, k_begin + k_len).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

namespace vicha {

struct Segment {
  std::int64_t q_begin, q_len, k_begin, k_len;
};

/// The same as tensors on one device, for attention by padding: N segments; Q queries and K keys, the most of any; T
/// rows of queries. Padded positions read row 0 of the packed matrix; `seen` hides padded keys, and padded queries are
/// not read back.
struct SegmentIndex {
  at::Tensor q_NQ, k_NK;  ///< int64, rows of the packed matrices
  at::Tensor seen;        ///< bool, (N, 1, 1, K); causal: (N, 1, Q, K)
  at::Tensor back_T;      ///< int64, where a packed row of queries stands among the N * Q padded ones
};

/// A list's index tensors, one set per device. A copy starts empty: whoever copies a list is about to change it.
class SegmentIndexCache {
 public:
  SegmentIndexCache() = default;
  SegmentIndexCache(const SegmentIndexCache&) {}
  SegmentIndexCache& operator=(const SegmentIndexCache&) = delete;
  /// The entry of `device`, made by `make` the first time; other threads that want it wait meanwhile.
  template <class Make>
  const SegmentIndex& get(const at::Device& device, const Make& make) {
    const std::lock_guard lock(mutex_);
    for (const auto& [at, index] : entries_) {
      if (at == device) return index;
    }
    return entries_.emplace_back(device, make()).second;
  }

 private:
  std::mutex mutex_;
  std::list<std::pair<at::Device, SegmentIndex>> entries_;  // references to its elements stay valid
};

/// Segments in ascending order of k_begin; segments with the same keys stand together (their key gradients are summed
/// by one thread), and otherwise key ranges do not overlap.
struct Segments {
  std::vector<Segment> list;
  std::int64_t q_rows = 0, k_rows = 0;
  /// Row i of a segment attends to its first k_len - q_len + i + 1 keys only: a token sees itself and earlier ones.
  bool causal = false;

  /// How many of the segment's keys its row i attends to.
  std::int64_t keys_seen(const Segment& s, std::int64_t i) const {
    return causal ? s.k_len - s.q_len + i + 1 : s.k_len;
  }

  /// Made on the host and copied at the first call for a device, then kept: all layers that share a list share it, so
  /// it must not change any more. Valid as long as these segments.
  const SegmentIndex& index_on(const at::Device& device) const;

  /// `count` sequences of `length` rows, each attending to itself; with `real`, only to its first real[i] rows.
  static std::shared_ptr<const Segments> uniform(std::int64_t count, std::int64_t length,
                                                 std::span<const std::int64_t> real = {});
  /// Sequences of the given lengths, packed, each attending to itself.
  static std::shared_ptr<const Segments> packed(std::span<const std::int64_t> lengths);
  /// The same, each token attending to itself and those before it.
  static std::shared_ptr<const Segments> causal_packed(std::span<const std::int64_t> lengths);
  /// Several lists one after the other (rows of each follow those of the one before).
  static std::shared_ptr<const Segments> joined(const std::vector<std::shared_ptr<const Segments>>& parts);
  /// Queries packed with `lengths`; sequence i attends to key block `block[i]`, blocks of `block_rows` rows.
  static std::shared_ptr<const Segments> cross(std::span<const std::int64_t> lengths,
                                               std::span<const std::int64_t> block, std::int64_t blocks,
                                               std::int64_t block_rows);

 private:
  mutable SegmentIndexCache indices_;
};

using SegmentsPtr = std::shared_ptr<const Segments>;

}  // namespace vicha
