// The decoded images of a manifest, some of them kept.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "data/manifest/manifest.h"
#include "image/decode.h"

namespace vicha {

/// Thread-safe.
class Images {
 public:
  Images(std::shared_ptr<const Manifest> manifest, const DecodeOptions& decode, std::size_t cache_bytes)
      : manifest_(std::move(manifest)), decode_(decode), free_bytes_(cache_bytes) {}

  /// The image of a Manifest::image_number, RGB. Kept while there is room: nothing is ever thrown out, since an epoch
  /// comes to all images equally often. Throws DataError if it cannot be read.
  std::shared_ptr<const Image> load(std::int64_t number);

  const Manifest& manifest() const { return *manifest_; }

 private:
  std::shared_ptr<const Manifest> manifest_;
  DecodeOptions decode_;
  std::mutex mutex_;
  std::size_t free_bytes_;
  std::unordered_map<std::int64_t, std::shared_ptr<const Image>> kept_;  // by image number
};

}  // namespace vicha
