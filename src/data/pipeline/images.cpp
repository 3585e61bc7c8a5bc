#include "data/pipeline/images.h"

#include <utility>

namespace vicha {

std::shared_ptr<const Image> Images::load(std::int64_t number) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = kept_.find(number); found != kept_.end()) return found->second;
  }
  auto image = std::make_shared<const Image>(load_rgb(manifest_->image_file(number), decode_));
  const std::lock_guard lock(mutex_);
  if (image->pixels.size() <= free_bytes_ && kept_.try_emplace(number, image).second) {
    free_bytes_ -= image->pixels.size();
  }
  return image;
}

}  // namespace vicha
