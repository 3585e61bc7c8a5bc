#include "checkpoint/tensors/dtypes.h"

#include <ATen/core/Tensor.h>

#include <algorithm>

namespace vicha {
namespace {

using T = c10::ScalarType;

constexpr DtypeNames kDtypes[] = {
    {T::Double, "F64", "float64", "DoubleStorage"},
    {T::Float, "F32", "float32", "FloatStorage"},
    {T::Half, "F16", "float16", "HalfStorage"},
    {T::BFloat16, "BF16", "bfloat16", "BFloat16Storage"},
    {T::Long, "I64", "int64", "LongStorage"},
    {T::Int, "I32", "int32", "IntStorage"},
    {T::Short, "I16", "int16", "ShortStorage"},
    {T::Char, "I8", "int8", "CharStorage"},
    {T::Byte, "U8", "uint8", "ByteStorage"},
    {T::Bool, "BOOL", "bool", "BoolStorage"},
    {T::UInt64, "U64", "uint64", ""},
    {T::UInt32, "U32", "uint32", ""},
    {T::UInt16, "U16", "uint16", ""},
    {T::Float8_e5m2, "F8_E5M2", "float8_e5m2", ""},
    {T::Float8_e4m3fn, "F8_E4M3", "float8_e4m3fn", ""},
    {T::Float8_e5m2fnuz, "F8_E5M2FNUZ", "float8_e5m2fnuz", ""},
    {T::Float8_e4m3fnuz, "F8_E4M3FNUZ", "float8_e4m3fnuz", ""},
    {T::Float8_e8m0fnu, "F8_E8M0", "float8_e8m0fnu", ""},
    {T::ComplexFloat, "C64", "complex64", "ComplexFloatStorage"},
    {T::ComplexDouble, "", "complex128", "ComplexDoubleStorage"},
    {T::ComplexHalf, "", "complex32", ""},
};

const DtypeNames* find_by(std::string_view DtypeNames::*column, std::string_view name) {
  if (name.empty()) return nullptr;
  const auto row =
      std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const DtypeNames& d) { return d.*column == name; });
  return row == std::end(kDtypes) ? nullptr : row;
}

std::span<std::uint8_t> raw(const at::Tensor& tensor) {
  return {static_cast<std::uint8_t*>(tensor.data_ptr()), static_cast<std::size_t>(tensor.nbytes())};
}

}  // namespace

const DtypeNames* find_dtype(c10::ScalarType type) {
  const auto row =
      std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const DtypeNames& d) { return d.type == type; });
  return row == std::end(kDtypes) ? nullptr : row;
}

const DtypeNames* find_dtype_by_safetensors(std::string_view name) { return find_by(&DtypeNames::safetensors, name); }
const DtypeNames* find_dtype_by_torch(std::string_view name) { return find_by(&DtypeNames::torch, name); }
const DtypeNames* find_dtype_by_storage(std::string_view name) { return find_by(&DtypeNames::storage, name); }

std::optional<std::int64_t> byte_count(std::span<const std::int64_t> sizes, std::int64_t item) {
  std::int64_t extent = item;
  bool empty = false;
  for (const std::int64_t size : sizes) {
    if (size < 0) return std::nullopt;
    empty |= size == 0;
    if (size > 1 && __builtin_mul_overflow(extent, size, &extent)) return std::nullopt;
  }
  return empty ? 0 : extent;
}

bool has_odd_bools(const at::Tensor& tensor) {
  if (tensor.scalar_type() != T::Bool) return false;
  const auto bytes = raw(tensor);
  return std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b > 1; });
}

void normalise_bools(const at::Tensor& tensor) {
  if (!has_odd_bools(tensor)) return;
  for (std::uint8_t& byte : raw(tensor)) byte = byte != 0;
}

}  // namespace vicha
