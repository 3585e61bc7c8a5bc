// Attention through LibTorch's own operations, as on other devices: the index tensors of a list of segments are made
// once a device.
#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <thread>

#include "nn/attention.h"
#include "nn/comparison_test.h"

namespace vicha {
namespace {

/// How often this thread has called each operation of LibTorch since the counter was made.
class OperationCount {
 public:
  OperationCount() {
    counts().clear();
    handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback([](const at::RecordFunction& f) {
                                           ++counts()[f.name()];
                                           return std::unique_ptr<at::ObserverContext>();
                                         }).scopes({at::RecordScope::FUNCTION}));
  }
  OperationCount(const OperationCount&) = delete;
  OperationCount& operator=(const OperationCount&) = delete;
  ~OperationCount() { at::removeCallback(handle_); }
  int operator[](const std::string& name) const { return counts()[name]; }

 private:
  static std::map<std::string, int>& counts() {
    thread_local std::map<std::string, int> result;
    return result;
  }
  at::CallbackHandle handle_;
};

SegmentsPtr three_sequences() { return Segments::packed(std::vector<std::int64_t>{5, 1, 7}); }

TEST(SegmentIndex, SecondLayerBuildsAndCopiesNothing) {
  const SegmentsPtr segments = three_sequences();
  const at::Tensor q = at::randn({13, 8});
  const auto layer = [&] {
    const OperationCount count;
    attention_reference(q, q, q, 2, segments);
    return std::pair(count["aten::zeros"], count["aten::index"]);
  };
  EXPECT_EQ(layer(), std::pair(4, 3));
  EXPECT_EQ(layer(), std::pair(0, 3));
  // LibTorch's attention does not run on the meta device, which has shapes only; but copies to it count as to any
  // other.
  const auto copies = [&] {
    const OperationCount count;
    EXPECT_EQ(segments->index_on(at::kMeta).q_NQ.device(), at::Device(at::kMeta));
    return count["aten::_to_copy"];
  };
  EXPECT_EQ(copies(), 4);
  EXPECT_EQ(copies(), 0);
}

TEST(SegmentIndex, IsKeptByDeviceAndSharedByThreads) {
  const SegmentsPtr segments = three_sequences();
  std::vector<const SegmentIndex*> seen(8);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    threads.emplace_back([&, i] { seen[i] = &segments->index_on(i % 2 == 0 ? at::kCPU : at::kMeta); });
  }
  for (std::thread& t : threads) t.join();
  for (std::size_t i = 2; i < seen.size(); ++i) EXPECT_EQ(seen[i], seen[i - 2]);
  EXPECT_NE(seen[0], seen[1]);
  const SegmentIndex& index = *seen[0];
  EXPECT_TRUE(at::equal(index.q_NQ[2], at::arange(6, 13)));
  EXPECT_TRUE(at::equal(index.q_NQ[1], at::tensor({5, 0, 0, 0, 0, 0, 0}, at::kLong)));
  EXPECT_TRUE(at::equal(index.seen.sum(-1).flatten(), at::tensor({5, 1, 7}, at::kLong)));
  EXPECT_TRUE(at::equal(index.q_NQ.flatten().index_select(0, index.back_T), at::arange(13)));
}

TEST(SegmentIndex, CopyOfAListMayBeChanged) {
  const SegmentsPtr segments = three_sequences();
  EXPECT_EQ(segments->index_on(at::kCPU).k_NK.size(1), 7);
  Segments shorter = *segments;
  shorter.list.pop_back();
  EXPECT_EQ(shorter.index_on(at::kCPU).k_NK.size(1), 5);
  EXPECT_EQ(segments->index_on(at::kCPU).k_NK.size(1), 7);
}

TEST(SegmentIndex, MadeInInferenceModeServesTraining) {
  const SegmentsPtr segments = three_sequences();
  {
    const c10::InferenceMode inference;
    segments->index_on(at::kCPU);
  }
  const at::Tensor q = leaf({13, 4});
  EXPECT_TRUE(gradients(attention_reference(q, q, q, 1, segments), at::ones({13, 4}), {q})[0].defined());
}

/// Widths of a head, heads; values and gradients of both paths against the same in double.
class AttentionPaths : public testing::TestWithParam<std::int64_t> {};

TEST_P(AttentionPaths, AgreeOnOddSizes) {
  at::manual_seed(5);
  const std::int64_t width = GetParam();
  const std::vector<std::int64_t> lengths = {1, 97, 3, 65}, block = {2, 0, 0, 1}, real = {1, 7, 2};
  const std::vector<SegmentsPtr> selves = {Segments::packed(lengths), Segments::causal_packed(lengths),
                                           Segments::uniform(3, 7, real), Segments::uniform(1, 1)};
  for (const std::int64_t heads : {1, 3}) {
    for (const SegmentsPtr& s : selves) {
      SCOPED_TRACE(testing::Message() << heads << " heads, " << s->q_rows << " rows");
      const at::Tensor qkv = leaf({s->q_rows, 3 * heads * width}), exact = qkv.to(at::kDouble);
      const auto parts = qkv.chunk(3, 1), exact_parts = exact.chunk(3, 1);
      const at::Tensor plain = attention_reference(exact_parts[0], exact_parts[1], exact_parts[2], heads, s);
      expect_near(self_attention(qkv, heads, s), plain, {qkv}, 3e-6);
      expect_near(attention_reference(parts[0], parts[1], parts[2], heads, s), plain, {qkv}, 3e-6);
    }
    for (const std::int64_t keys : {1, 5, 129}) {
      const SegmentsPtr s = Segments::cross(lengths, block, 3, keys);
      SCOPED_TRACE(testing::Message() << heads << " heads, " << keys << " keys");
      const at::Tensor q = leaf({s->q_rows, heads * width}), kv = leaf({s->k_rows, 2 * heads * width});
      const auto parts = kv.chunk(2, 1), exact = kv.to(at::kDouble).chunk(2, 1);
      const at::Tensor plain = attention_reference(q.to(at::kDouble), exact[0], exact[1], heads, s);
      expect_near(cross_attention(q, kv, heads, s), plain, {q, kv}, 3e-6);
      expect_near(attention_reference(q, parts[0], parts[1], heads, s), plain, {q, kv}, 3e-6);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, AttentionPaths, testing::Values(1, 3, 7, 17, 65));

}  // namespace
}  // namespace vicha
