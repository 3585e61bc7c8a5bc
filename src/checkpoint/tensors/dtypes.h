// The element types, by the names that the file formats give them.
#pragma once

#include <c10/core/ScalarType.h>

#include <optional>
#include <span>
#include <string_view>

namespace at {
class Tensor;
}

namespace vicha {

struct DtypeNames {
  c10::ScalarType type;
  std::string_view safetensors;  ///< "F32"; empty if the format has no such type
  std::string_view torch;        ///< "float32"
  std::string_view storage;      ///< "FloatStorage"; empty for types that PyTorch saves as untyped bytes
};

/// The row of the type, or nullptr (quantised and sub-byte types).
const DtypeNames* find_dtype(c10::ScalarType type);
const DtypeNames* find_dtype_by_safetensors(std::string_view name);
const DtypeNames* find_dtype_by_torch(std::string_view name);
const DtypeNames* find_dtype_by_storage(std::string_view name);

/// Bytes of `sizes` in full at `item` bytes an element; nothing if a size is negative or anything overflows, counted
/// with empty dimensions as one because LibTorch's strides are.
std::optional<std::int64_t> byte_count(std::span<const std::int64_t> sizes, std::int64_t item);

/// Reading any byte but 0 and 1 as a C++ bool is undefined: whatever a file says, non-zero becomes 1. In place.
void normalise_bools(const at::Tensor& tensor);
/// Whether `normalise_bools` would change anything.
bool has_odd_bools(const at::Tensor& tensor);

}  // namespace vicha
