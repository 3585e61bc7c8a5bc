#include "distributed/group.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "base/random.h"
#include "distributed/thread_group_test_support.h"

namespace vicha {
namespace {

at::Tensor numbers(std::initializer_list<float> values) { return at::tensor(std::vector<float>(values)); }

void expect_no_error(const std::vector<std::string>& errors) {
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

TEST(Group, AloneEverythingIsTheIdentity) {
  const Group& group = Group::alone();
  EXPECT_EQ(group.rank(), 0);
  EXPECT_EQ(group.size(), 1);
  EXPECT_TRUE(group.is_writer());
  EXPECT_TRUE(group.is_alone());
  const at::Tensor t = numbers({1, 2, 3}), before = t.clone();
  const auto version = t._version();
  group.all_reduce_sum(t);
  group.all_reduce_mean({t, t});
  group.broadcast(t, 0);
  group.barrier();
  EXPECT_TRUE(group.all_gather(t).is_same(t));  // no copy
  EXPECT_TRUE(t.equal(before));
  EXPECT_EQ(t._version(), version);  // not written to
  EXPECT_EQ(group.all_gather(7), std::vector<std::int64_t>{7});
}

TEST(Group, RanksExchangeTensorsInTheirOrder) {
  for (const std::int64_t size : {1, 2, 3, 5}) {
    SCOPED_TRACE(size);
    std::vector<at::Tensor> sums(static_cast<std::size_t>(size)), gathered(sums);
    expect_no_error(run_ranks(size, [&](const Group& group) {
      const auto r = static_cast<float>(group.rank()), n = static_cast<float>(size);
      EXPECT_EQ(group.size(), size);
      EXPECT_EQ(group.is_writer(), group.rank() == 0);
      for (int round = 0; round < 50; ++round) {  // no operation may see what belongs to the one before or after
        const auto k = static_cast<float>(round);
        at::Tensor a = numbers({r + k, 1}), b = at::full({2, 2}, k, at::kDouble);
        group.all_reduce_sum({a, b});
        EXPECT_TRUE(a.equal(numbers({n * (n - 1) / 2 + n * k, n})));
        EXPECT_TRUE(b.equal(at::full({2, 2}, n * k, at::kDouble)));
        group.all_reduce_mean(a);
        EXPECT_TRUE(at::allclose(a, numbers({(n - 1) / 2 * n + n * k, n})));
        const at::Tensor all = group.all_gather(at::full({2, 3}, r + k));
        EXPECT_EQ(all.sizes(), (at::IntArrayRef{2 * size, 3}));
        for (std::int64_t i = 0; i < 2 * size; ++i) EXPECT_EQ(all[i][0].item<float>(), static_cast<float>(i / 2) + k);
        const at::Tensor sent = numbers({r, k});
        group.broadcast(sent, size - 1);
        EXPECT_TRUE(sent.equal(numbers({n - 1, k})));
        EXPECT_EQ(group.all_gather(group.rank() * 10).back(), (size - 1) * 10);
      }
      Rng rng(mix_seed({3, static_cast<std::uint64_t>(group.rank())}));
      at::Tensor sum = at::empty({1000});
      for (std::int64_t i = 0; i < 1000; ++i) sum.data_ptr<float>()[i] = static_cast<float>(rng.normal());
      gathered[static_cast<std::size_t>(group.rank())] = group.all_gather(sum);
      group.all_reduce_sum(sum);
      sums[static_cast<std::size_t>(group.rank())] = sum;
    }));
    for (const at::Tensor& sum : sums) EXPECT_TRUE(sum.equal(sums[0]));  // bit for bit
    for (const at::Tensor& all : gathered) EXPECT_TRUE(all.equal(gathered[0]));
    EXPECT_TRUE(at::allclose(sums[0], gathered[0].view({size, 1000}).sum(0), 1e-5, 1e-5));
  }
}

TEST(Group, LeavesOfAGraphAreReducedInPlace) {
  expect_no_error(run_ranks(2, [](const Group& group) {
    at::Tensor leaf = numbers({1, 2}).requires_grad_(true);
    group.all_reduce_mean(leaf);
    EXPECT_TRUE(leaf.is_leaf());
    EXPECT_FALSE(group.all_gather(leaf).requires_grad());
    EXPECT_TRUE(leaf.detach().equal(numbers({1, 2})));
  }));
}

TEST(Group, ABarrierHoldsEveryoneBack) {
  std::atomic<int> arrived = 0;
  expect_no_error(run_ranks(3, [&](const Group& group) {
    for (int round = 1; round <= 20; ++round) {
      ++arrived;
      group.barrier();
      EXPECT_EQ(arrived, 3 * round);
      group.barrier();
    }
  }));
}

TEST(Group, OneThatFailsOrEndsDoesNotLeaveTheOthersWaiting) {
  const auto failed = run_ranks(3, [](const Group& group) {
    group.barrier();
    if (group.rank() == 1) throw DataError("a.json", "is broken");
    at::Tensor t = numbers({1});
    for (int i = 0; i < 10; ++i) group.all_reduce_sum(t);
  });
  EXPECT_EQ(failed[1], DataError("a.json", "is broken").what());
  for (const int rank : {0, 2})
    EXPECT_NE(failed[rank].find("process 1 of the group has failed: a.json"), std::string::npos);

  const auto ended = run_ranks(2, [](const Group& group) {
    if (group.rank() == 0) group.barrier();
  });
  EXPECT_NE(ended[0].find("process 1 of the group has ended"), std::string::npos) << ended[0];
  EXPECT_EQ(ended[1], "");
}

TEST(Group, OperationsThatDoNotMatchAreNoticed) {
  const auto errors = run_ranks(
      2, [](const Group& group) { group.rank() == 0 ? group.barrier() : group.all_reduce_sum(numbers({1})); });
  for (const std::string& error : errors) EXPECT_NE(error.find("barrier"), std::string::npos) << error;
}

}  // namespace
}  // namespace vicha
