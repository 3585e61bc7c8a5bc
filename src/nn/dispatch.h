#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>

namespace vicha {

/// Calls f with a null pointer of the type that the tensors have: float or bf16.
template <class F>
void dispatch_type(at::ScalarType type, const F& f) {
  if (type == at::kFloat) {
    f(static_cast<float*>(nullptr));
  } else {
    f(static_cast<c10::BFloat16*>(nullptr));
  }
}

}  // namespace vicha
