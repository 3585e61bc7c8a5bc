// The type that matrix products run in. Parameters, gradients and optimiser state are always fp32; in bf16 the branches
// (what enters and leaves linear maps and attention) are bf16 while a pre-norm block's residual stream stays fp32.
#pragma once

#include <ATen/core/Tensor.h>

namespace vicha {

/// Numbers too small for full precision become zero on this thread and on those it starts: call it first in `main`.
/// Sharp attention leaves gradients of 1e-38 and less in most rows, and processors multiply such numbers many times
/// slower.
void flush_denormals();

/// Products use as many threads as they are told, here and in parallel regions: call it in `main`. MKL otherwise takes
/// fewer where it thinks that suits the moment, and another number of threads gives other last bits.
void fix_product_threads();

/// fp32 unless a Bf16Scope is alive on this thread.
at::ScalarType compute_type();

/// While alive, products run in bf16 on this thread and in the backward passes recorded on it.
class Bf16Scope {
 public:
  explicit Bf16Scope(bool on);
  ~Bf16Scope();
  Bf16Scope(const Bf16Scope&) = delete;
  Bf16Scope& operator=(const Bf16Scope&) = delete;

 private:
  bool before_;
};

/// The type of a branch that starts from x.
inline at::ScalarType branch_type(const at::Tensor& x) {
  return x.scalar_type() == at::kFloat ? compute_type() : x.scalar_type();
}

}  // namespace vicha
