#include "nn/kernel_choice.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace vicha {
namespace {

TEST(KernelChoice, WhatIsNamedHoldsAlthoughOthersHaveMeasured) {
  const KernelChoice measured = kernel_choice();
  const at::Tensor x = at::randn({40, 96}), w = at::randn({24, 96});
  set_matmul_kernel("blas");
  EXPECT_EQ(kernel_choice().fp32, MatmulKernel::kBlas);
  EXPECT_EQ(kernel_choice().onednn_fp32_gflops, measured.onednn_fp32_gflops);
  EXPECT_TRUE(products::nt(x, w, {}).equal(at::mm(x, w.t())));
  if (measured.onednn_fp32_gflops > 0) {
    set_matmul_kernel("onednn");
    EXPECT_EQ(kernel_choice().fp32, MatmulKernel::kOneDnn);
  }
  set_matmul_kernel("auto");
  EXPECT_EQ(kernel_choice().fp32, measured.fp32);
  EXPECT_THROW(set_matmul_kernel("abacus"), UsageError);
}

}  // namespace
}  // namespace vicha
