// Towers by the words that a user gives.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "towers/tower.h"

namespace vicha {

/// `vit:FILE`, `dinov2:FILE`, `siglip:FILE`, `clip:FILE`, `torchscript:FILE`, where FILE is a file or folder of
/// weights; or a folder alone, whose config.json says what it is. Throws UsageError on a prefix that is not known,
/// naming the nearest, and on a file without one, saying what it seems to be; DataError on weights of another kind or
/// damaged. A folder never makes a TorchScript run.
std::unique_ptr<ImageTower> open_image_tower(std::string_view spec);

/// `bert:FILE` (BERT and its kin, with sentence-transformers' files beside it), `clip:FILE`, or a folder alone.
std::unique_ptr<TextTower> open_text_tower(std::string_view spec);

/// The prefix of the words themselves, or that which a folder's config.json says; nothing where neither tells, as of a
/// file without a prefix. Opens no weights.
std::optional<std::string> tower_prefix_of(std::string_view spec);

/// The prefix that a configuration is of: transformers' "model_type", timm's "architecture", open_clip's "model_cfg".
/// Nothing if it is of none that is built.
std::optional<std::string> tower_prefix_of_config(std::string_view json);

}  // namespace vicha
