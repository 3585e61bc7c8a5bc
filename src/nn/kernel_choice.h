// Which library multiplies matrices. Two are inside LibTorch on x86 (MKL and oneDNN), and which is faster depends on
// the processor by factors (docs/design.md, decision 4), so it is measured once, when first needed, or set by a flag.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>

namespace vicha {

enum class MatmulKernel { kBlas, kOneDnn };

struct KernelChoice {
  MatmulKernel fp32 = MatmulKernel::kBlas;
  double blas_fp32_gflops = 0, onednn_fp32_gflops = 0, bf16_gflops = 0;  ///< measured; 0: not measured or not there
  bool bf16_is_faster = false;

  std::string describe() const;
};

/// Measured on first use (about a quarter of a second) and the same for the whole process, but for what
/// set_matmul_kernel names.
KernelChoice kernel_choice();
/// `auto` (what was measured), `blas` or `onednn`, from the next product on. Throws UsageError on other names.
void set_matmul_kernel(std::string_view name);

namespace products {
// Plain products without gradient, by the chosen kernel. Types of both operands are equal.
at::Tensor nt(const at::Tensor& x_TI, const at::Tensor& weight_OI, const at::Tensor& bias_O);  ///< x W^T (+ b)
at::Tensor nn(const at::Tensor& grad_TO, const at::Tensor& weight_OI);                         ///< g W
at::Tensor tn(const at::Tensor& grad_TO, const at::Tensor& x_TI);                              ///< g^T x
}  // namespace products

}  // namespace vicha
