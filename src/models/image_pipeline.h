// Images from files through a tower: every thread reads a few images and carries them through all layers on its own,
// so that reading overlaps the products of the other threads and no thread waits for another at every product. With a
// tower on another device the threads read while one of them waits for it.
// V views of each image (itself, and cut-out regions), of S rows and W columns of pixels, E width of an embedding.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace vicha {

/// Rows that a tower takes at a time: on a CPU those of one thread, enough for the products to run at their full rate,
/// few enough for the rows to stay in its caches; on another device more.
std::int64_t tower_rows(const at::Device& device);
/// Images of so many tokens that make about as many rows, at least one: what a pipeline takes at a time.
std::int64_t images_at_once(std::int64_t tokens, const at::Device& device);

struct ImageBatch {
  std::int64_t begin = 0, end = 0;   ///< of the images
  std::vector<std::int64_t> images;  ///< those that were read, ascending
  at::Tensor rows;                   ///< (images * V, E), in their order; undefined if there are none
};

struct ImagePipeline {
  std::int64_t side = 0;     ///< S
  std::int64_t width = 0;    ///< W; 0: S, the views are squares
  std::int64_t views = 1;    ///< V
  std::int64_t batch = 1;    ///< images that a thread takes at a time; fewer towards the end, so that all end together
  std::int64_t threads = 0;  ///< at most; 0: all of LibTorch's
  /// Image i into [V, 3, S, W]. Called by several threads concurrently; false: it is left out.
  std::function<bool(std::int64_t i, std::span<float> pixels)> read;
  /// (b V, 3, S, W) -> (b V, E). Called by several threads concurrently, each in a parallel region. Images that are
  /// left out keep their rows, blank: an image's row depends on the image and its index among `count` alone, on
  /// neither the threads nor the other images.
  std::function<at::Tensor(const at::Tensor& pixels)> encode;
  /// Batches in the order of the images, one call at a time.
  std::function<void(const ImageBatch& batch)> done;

  /// Images 0 to count - 1. What a call throws is thrown here, once the others have finished the batches they are at;
  /// the batches before the one that threw are done, if they did not throw themselves.
  void run(std::int64_t count) const;
};

}  // namespace vicha
