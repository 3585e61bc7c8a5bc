// Numbers of a record as they lie in a store's file (store_format.h), and as fp32.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "concepts/store/store.h"

namespace vicha::store_detail {

struct EncodedRecords {
  std::vector<char> bytes;                      ///< record_bytes of each
  std::optional<std::int64_t> not_finite = {};  ///< the first record with a number that is not finite as it is stored
};
/// Of (n, vectors, width), float. Of int8 what it costs is added to `loss`.
EncodedRecords encode_numbers(const StoreShape& shape, const at::Tensor& rows, StoreLoss& loss);

/// Vectors `first` to `first + count - 1` of one record into `out` [count, width].
void decode_numbers(const StoreShape& shape, std::span<const std::byte> record, std::int64_t first, std::int64_t count,
                    float* out);

/// The scale of a vector of int8 whose largest number, its sign left out, is `largest`: a 127th of it, rounded up to 16
/// significant bits. 0 where that is no normal number.
float int8_scale(float largest);

}  // namespace vicha::store_detail
