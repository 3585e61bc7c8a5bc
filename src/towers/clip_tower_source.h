// CLIP's two towers as towers.
#pragma once

#include <filesystem>
#include <memory>

#include "models/clip.h"
#include "towers/vit_tower.h"

namespace vicha {

/// The picture tower of a CLIP: the pooled feature is Clip::encode_image's, patches are the states after ln_post
/// without the class token. Copies what it needs.
std::unique_ptr<VitNet> clip_image_net(const Clip& clip);

/// load_clip's picture tower, with preprocessor_config.json beside the weights or CLIP's own preprocessing.
std::unique_ptr<VitTower> load_clip_image_tower(const std::filesystem::path& path);

/// load_clip's text tower.
std::unique_ptr<TextTower> load_clip_text_tower(const std::filesystem::path& path);

}  // namespace vicha
