// Memory for the tensors of a file, and tensors over it. A checkpoint may have hundreds of thousands of small tensors;
// LibTorch's own ways to make them (at::empty, narrow, view, as_strided, from_blob) take longer than reading the file.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Storage.h>
#include <c10/util/intrusive_ptr.h>

#include <cstddef>

namespace vicha {

/// Gives out memory that is freed when the last tensor that lies in the same piece of it goes: small storages share
/// blocks of 1 MB, larger ones have memory of their own. Aligned to 64 bytes, not initialised.
class StorageArena {
 public:
  c10::Storage allocate(std::size_t bytes);

 private:
  struct Block : c10::intrusive_ptr_target {
    Block();
    ~Block() override;
    std::byte* const memory;
  };

  c10::intrusive_ptr<Block> block_;
  std::size_t left_ = 0;  ///< at its end
};

/// A storage over memory that `owner` keeps alive.
c10::Storage storage_over(void* data, std::size_t bytes, c10::intrusive_ptr<c10::intrusive_ptr_target> owner);

/// Elements of the type over the storage, from element `offset` on. The caller has checked that all of them lie in it.
at::Tensor tensor_over(const c10::Storage& storage, c10::ScalarType type, at::IntArrayRef sizes,
                       at::IntArrayRef strides, std::int64_t offset);
/// Row-major from the storage's start.
at::Tensor tensor_over(const c10::Storage& storage, c10::ScalarType type, at::IntArrayRef sizes);

}  // namespace vicha
