#include "checkpoint/tensors/storage.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace vicha {
namespace {

TEST(Storage, TensorsOverItAreLibTorchsOwn) {
  const at::Tensor whole = at::arange(24, at::kInt);
  const c10::Storage& storage = whole.storage();
  EXPECT_TRUE(at::equal(tensor_over(storage, at::kInt, {4, 6}), whole.view({4, 6})));
  const at::Tensor view = tensor_over(storage, at::kInt, {3, 2}, {1, 5}, 4),
                   expected = at::as_strided(whole, {3, 2}, {1, 5}, 4);
  EXPECT_TRUE(at::equal(view, expected));
  EXPECT_EQ(view.is_contiguous(), expected.is_contiguous());
  EXPECT_EQ(view.key_set(), expected.key_set());
  EXPECT_EQ(tensor_over(storage, at::kShort, {48}).numel(), 48);
  EXPECT_EQ(tensor_over(storage, at::kInt, {}).item<int>(), 0);
  EXPECT_EQ(tensor_over(storage, at::kInt, {0, 3}).numel(), 0);
  EXPECT_TRUE(
      at::equal(tensor_over(storage, at::kInt, {24}).to(at::kFloat).requires_grad_().detach(), whole.to(at::kFloat)));
}

TEST(Storage, MemoryOutlivesTheArenaAndIsNotShared) {
  at::Tensor small, large;
  {
    StorageArena arena;
    for (int i = 0; i < 100000; ++i) {
      const at::Tensor tensor = tensor_over(arena.allocate(40), at::kFloat, {10});
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr()) % 64, 0U);
      tensor.fill_(i);
      if (i == 77) small = tensor;
      if (i % 20000 == 0) large = tensor_over(arena.allocate(100000), at::kByte, {100000}).fill_(7);
    }
  }
  EXPECT_TRUE(at::equal(small, at::full({10}, 77.0F)));
  EXPECT_TRUE(at::equal(large, at::full({100000}, 7, at::kByte)));
  EXPECT_EQ(tensor_over(StorageArena().allocate(0), at::kFloat, {0}).numel(), 0);
}

}  // namespace
}  // namespace vicha
