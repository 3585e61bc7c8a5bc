#include "checkpoint/tensors/finite.h"

#include <ATen/Functions.h>

#include <cstdint>

namespace vicha {
namespace {

/// NaN and infinity are the numbers with every bit of the exponent set. Counting has no early way out, so that it runs
/// as fast as memory does.
template <class Bits>
bool all_finite(const at::Tensor& tensor, Bits exponent) {
  const auto* values = static_cast<const Bits*>(tensor.const_data_ptr());
  Bits found = 0;
  for (std::int64_t i = 0; i < tensor.numel(); ++i) found |= static_cast<Bits>((values[i] & exponent) == exponent);
  return found == 0;
}

}  // namespace

bool is_finite(const at::Tensor& tensor) {
  const c10::ScalarType type = tensor.scalar_type();
  if (!c10::isFloatingType(type) && !c10::isComplexType(type)) return true;
  const bool plain = tensor.device().is_cpu() && tensor.is_contiguous();
  if (plain && type == c10::ScalarType::Float) return all_finite<std::uint32_t>(tensor, 0x7f800000);
  if (plain && type == c10::ScalarType::BFloat16) return all_finite<std::uint16_t>(tensor, 0x7f80);
  if (plain && type == c10::ScalarType::Half) return all_finite<std::uint16_t>(tensor, 0x7c00);
  const bool narrow = c10::elementSize(type) == 1;  // 8-bit floats have no isfinite of their own
  return at::isfinite(narrow ? tensor.to(c10::ScalarType::Float) : tensor).all().item<bool>();
}

}  // namespace vicha
