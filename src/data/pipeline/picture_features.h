// Features of a manifest's pictures, where the model reads these instead of pixels: nothing is decoded then. Whoever
// has them, in a store, fills this in (tasks/host/stored_pictures.h). N patches, P numbers of a patch, V views.
#pragma once

#include <cstdint>
#include <span>

namespace vicha {

/// Of one manifest, whose pictures go by Manifest::image_number. Any number of threads may call it.
class PictureFeatures {
 public:
  virtual ~PictureFeatures() = default;
  virtual std::int64_t patches() const = 0;  ///< N
  virtual std::int64_t width() const = 0;    ///< P
  /// What was kept of each picture: view 0 is the picture as it is, the others are for training.
  virtual std::int64_t views() const = 0;
  /// Into `out` (N, P). Throws DataError if there are none of this picture, or if they are damaged.
  virtual void read(std::int64_t image, std::int64_t view, std::span<float> out) const = 0;
};

}  // namespace vicha
