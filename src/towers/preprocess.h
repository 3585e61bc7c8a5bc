// How pictures are put before a tower, from the configuration beside its weights. Used inside this room only.
#pragma once

#include <filesystem>
#include <string_view>

#include "towers/tower.h"

namespace vicha::towers {

/// Whose habits hold where a configuration leaves something out, or where there is none.
enum class Recipe {
  kHuggingFaceVit,  ///< stretched, bilinear, mean and deviation 0.5
  kDeit,            ///< shorter side to 8/7 of the size, bicubic, its centre, ImageNet's mean and deviation
  kDinov2,          ///< shorter side 256, bicubic, centre 224, ImageNet's mean and deviation, whatever the trained size
  kSiglip,          ///< stretched, bicubic, mean and deviation 0.5
  kClip,            ///< shorter side, bicubic, centre, CLIP's mean and deviation
};

/// For a tower trained on pictures of `side` pixels with patches of `patch`.
TowerInput usual_input(Recipe recipe, std::int64_t side, std::int64_t patch);

/// The same with what transformers' preprocessor_config.json says. Throws DataError naming `where` if it asks for what
/// is not built.
TowerInput preprocessor_input(TowerInput usual, Recipe recipe, std::string_view json, std::string_view where);

/// The same with what timm's config.json says ("pretrained_cfg").
TowerInput timm_input(TowerInput usual, std::string_view json, std::string_view where);
bool is_timm_config(std::string_view json);

/// What lies beside weights: preprocessor_config.json, or timm's config.json, or nothing. `told`: whether something was
/// found.
TowerInput input_beside(const std::filesystem::path& weights, Recipe recipe, std::int64_t side, std::int64_t patch,
                        bool* told = nullptr);

}  // namespace vicha::towers
