// What must hold of tensors that were read from a file.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstring>

#include "checkpoint/tensors/state_dict.h"
#include "fuzz.h"

namespace vicha::fuzz {

/// LibTorch is not instrumented: that a tensor lies inside its storage, and that the storage is there, is checked here.
inline void check_tensor(const at::Tensor& tensor) {
  require(tensor.defined(), "a tensor that was read is defined");
  if (tensor.numel() == 0) return;
  std::int64_t last = tensor.storage_offset();
  require(last >= 0, "a view begins inside its storage");
  for (std::int64_t d = 0; d < tensor.dim(); ++d) {
    require(tensor.stride(d) >= 0, "strides are not negative");
    last += (tensor.size(d) - 1) * tensor.stride(d);
  }
  const std::uint64_t end = (static_cast<std::uint64_t>(last) + 1) * tensor.element_size();
  require(end <= tensor.storage().nbytes(), "a view ends inside its storage");
  const auto* bytes = static_cast<const volatile std::uint8_t*>(tensor.storage().data());
  static_cast<void>(bytes[0]);
  static_cast<void>(bytes[end - 1]);
}

inline void check_tensors(const StateDict& tensors) {
  for (const auto& [name, tensor] : tensors) check_tensor(tensor);
}

/// The same names in the same order, with the same types, shapes and bytes.
inline bool same(const StateDict& a, const StateDict& b) {
  if (a.size() != b.size()) return false;
  auto other = b.begin();
  for (const auto& [name, tensor] : a) {
    const at::Tensor x = tensor.contiguous(), y = other->second.contiguous();
    if (name != other->first || x.scalar_type() != y.scalar_type() || x.sizes() != y.sizes()) return false;
    if (x.nbytes() != 0 && std::memcmp(x.data_ptr(), y.data_ptr(), x.nbytes()) != 0) return false;
    ++other;
  }
  return true;
}

}  // namespace vicha::fuzz
