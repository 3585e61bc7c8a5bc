// Pictures from files through a tower, on a CPU: every thread reads a few pictures and carries them through all layers
// by itself, so that reading overlaps the products of the other threads and no thread waits for another at every
// product.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>

namespace vicha {

struct PicturePipeline {
  std::int64_t side = 0;   ///< S
  std::int64_t batch = 1;  ///< pictures that a thread takes at a time
  /// Picture i into [3, S, S]. Called by several threads at once; false: it cannot be had and is left out.
  std::function<bool(std::int64_t i, std::span<float> pixels)> read;
  /// (b, 3, S, S) -> (b, E). Called by several threads at once, each inside of a parallel region.
  std::function<at::Tensor(const at::Tensor& pixels)> encode;
  /// The pictures of one batch, in ascending order, and their rows. One call at a time, batches in any order.
  std::function<void(std::span<const std::int64_t> pictures, const at::Tensor& rows)> done;

  /// Pictures 0 to count - 1, on all of LibTorch's threads. What a call throws is thrown here, once the others have
  /// finished the batches they are at.
  void run(std::int64_t count) const;
};

}  // namespace vicha
