// Images of manifests through any tower into one store or several at once, by an ImagePipeline. What `embed_images`
// (concepts/embed/embed.h) and `vicha embed` share: which images are known, bad ones, progress, resuming.
// V views of an image, H x W pixels, R numbers that the tower gives of a view.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "concepts/embed/embed.h"
#include "concepts/store/store.h"

namespace vicha {

/// A store that takes numbers [column, column + vectors * width / V) of each row.
struct EmbedTarget {
  std::filesystem::path store;
  SourceWeights weights;
  StoreShape shape;
  std::int64_t column = 0;
};

struct EmbedJob {
  std::int64_t height = 0, width = 0, views = 1;
  std::int64_t images_at_once = 1;  ///< that a thread carries through the tower together
  /// A file's bytes into [V, 3, H, W]; called by several threads. A DataError makes it a bad image.
  std::function<void(std::span<const std::uint8_t> bytes, std::string_view path, std::span<float> out)> prepare;
  std::function<at::Tensor(const at::Tensor& pixels)> encode;  ///< (b V, 3, H, W) -> (b V, R); as ImagePipeline::encode
  std::vector<EmbedTarget> targets;                            ///< at least one; bad images are listed beside the first
};

/// Appends to each store what it lacks. An image's numbers depend on the image, the tower and its index in the list
/// only. Throws UsageError on numbers that no option may have, else as embed_images.
EmbedReport embed_job(const EmbedJob& job, const ImageList& images, const EmbedOptions& options);

}  // namespace vicha
