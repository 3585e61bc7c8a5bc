#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>

#include <type_traits>

namespace vicha {

/// Calls f.template operator()<T>() with the C++ type of the elements, float or bf16:
///   dispatch_type(x.scalar_type(), [&]<class T>() { kernel(x.data_ptr<T>()); });
template <class F>
void dispatch_type(at::ScalarType type, const F& f) {
  if (type == at::kFloat) {
    f.template operator()<float>();
  } else {
    f.template operator()<c10::BFloat16>();
  }
}

/// The same for two, operator()<T, R>(): T of a branch, R of its residual stream. Where the branch is fp32 the stream
/// is, too.
template <class F>
void dispatch_types(at::ScalarType branch, at::ScalarType stream, const F& f) {
  dispatch_type(branch, [&]<class T>() {
    if constexpr (std::is_same_v<T, float>) {
      f.template operator()<float, float>();
    } else {
      dispatch_type(stream, [&]<class R>() { f.template operator()<T, R>(); });
    }
  });
}

}  // namespace vicha
