#include "checkpoint/tensors/storage.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/TensorImpl.h>

#include <new>

namespace vicha {
namespace {

constexpr std::size_t kStorageAlignment = 64, kBlock = 1 << 20, kLargestShared = 16 << 10;

at::Tensor over(const c10::Storage& storage, c10::ScalarType type) {
  return at::detail::make_tensor<c10::TensorImpl>(c10::Storage(storage), c10::DispatchKeySet(c10::DispatchKey::CPU),
                                                  c10::scalarTypeToTypeMeta(type));
}

}  // namespace

c10::Storage storage_over(void* data, std::size_t bytes, c10::intrusive_ptr<c10::intrusive_ptr_target> owner) {
  using Owner = c10::intrusive_ptr<c10::intrusive_ptr_target>;
  const auto release = [](void* held) { Owner::reclaim(static_cast<c10::intrusive_ptr_target*>(held)); };
  return {c10::Storage::use_byte_size_t(), bytes, c10::DataPtr(data, owner.release(), release, c10::Device(c10::kCPU)),
          /*allocator=*/nullptr, /*resizable=*/false};
}

StorageArena::Block::Block()
    : memory(static_cast<std::byte*>(::operator new[](kBlock, std::align_val_t(kStorageAlignment)))) {}

StorageArena::Block::~Block() { ::operator delete[](memory, std::align_val_t(kStorageAlignment)); }

c10::Storage StorageArena::allocate(std::size_t bytes) {
  if (bytes > kLargestShared) {
    return {c10::Storage::use_byte_size_t(), static_cast<std::int64_t>(bytes), c10::GetCPUAllocator(),
            /*resizable=*/false};
  }
  const std::size_t rounded = (bytes + kStorageAlignment - 1) / kStorageAlignment * kStorageAlignment;
  if (rounded > left_) {
    block_ = c10::make_intrusive<Block>();
    left_ = kBlock;
  }
  void* data = block_ == nullptr ? nullptr : block_->memory + (kBlock - left_);
  left_ -= rounded;
  return storage_over(data, bytes, block_);
}

at::Tensor tensor_over(const c10::Storage& storage, c10::ScalarType type, at::IntArrayRef sizes,
                       at::IntArrayRef strides, std::int64_t offset) {
  at::Tensor tensor = over(storage, type);
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides, offset);
  return tensor;
}

at::Tensor tensor_over(const c10::Storage& storage, c10::ScalarType type, at::IntArrayRef sizes) {
  at::Tensor tensor = over(storage, type);
  tensor.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  return tensor;
}

}  // namespace vicha
