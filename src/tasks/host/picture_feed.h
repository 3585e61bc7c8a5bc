// Raw pictures on their way to a model's image encoder: as pixels, or through the tower whose features it reads.
// B pictures, H x W pixels, N patches, P numbers of a patch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "image/image.h"
#include "tasks/host/task_kind.h"

namespace vicha {

/// Any number of threads may use one.
class PictureFeed {
 public:
  virtual ~PictureFeed() = default;
  /// Of what `prepare` writes.
  virtual std::int64_t height() const = 0;
  virtual std::int64_t width() const = 0;
  /// How a picture is put before the model, and before which tower; embeddings depend on it.
  virtual std::string view() const = 0;

  /// A picture as it is, without augmentation, into `out` [3, H, W]. Throws DataError naming `name` if it cannot be
  /// read.
  virtual void prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const = 0;
  virtual void prepare(const Image& image, std::span<float> out) const = 0;
  /// (B, 3, H, W) -> what Batch::image and patch_rows (models/vit.h) take: the pixels themselves, or features (B, N,
  /// P).
  virtual at::Tensor pictures(const at::Tensor& pixels) const = 0;
};

/// Where the tower is now, instead of where the model's recipe says. Throws UsageError if the model reads pixels.
void set_tower(LoadedModel& loaded, const std::string& spec);

/// Of a model that was read back. With features the tower is opened: throws DataError as open_feature_tower does.
std::unique_ptr<PictureFeed> open_picture_feed(const LoadedModel& loaded, const std::string& device);
/// For whoever takes squares alone. Throws DataError naming `checkpoint` if the model reads others.
std::unique_ptr<PictureFeed> open_square_picture_feed(const LoadedModel& loaded,
                                                      const std::filesystem::path& checkpoint,
                                                      const std::string& device);

}  // namespace vicha
