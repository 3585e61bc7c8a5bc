#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>

#include <type_traits>

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

/// The same for two: f(T*, R*), T of a branch, R of its residual stream. Where the branch is fp32 the stream is, too.
template <class F>
void dispatch_types(at::ScalarType branch, at::ScalarType stream, const F& f) {
  dispatch_type(branch, [&](auto* t) {
    if constexpr (std::is_same_v<decltype(t), float*>) {
      f(t, t);
    } else {
      dispatch_type(stream, [&](auto* r) { f(t, r); });
    }
  });
}

}  // namespace vicha
