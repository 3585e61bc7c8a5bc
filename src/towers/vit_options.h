// Sizes of a picture tower, from its weights' shapes and, where shapes do not tell, from a configuration beside them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "checkpoint/names/tower_names.h"

namespace vicha {

enum class TowerActivation { kGelu, kGeluTanh, kQuickGelu };

/// What becomes the pooled feature.
enum class TowerPooling {
  kClass,       ///< the class token after the final norm
  kClassDense,  ///< the tanh of a linear map of it: transformers' ViT
  kTokens,      ///< the mean of the class token and the distillation token: timm's distilled DeiT
  kAverage,     ///< the mean of the patches, normalised where the weights have an fc_norm
  kAttention,   ///< a learned query's attention over the patches, and an MLP: SigLIP
  kProjected,   ///< the class token through a matrix: CLIP
};

struct VitTowerOptions {
  std::int64_t width = 0, depth = 0, heads = 0;
  std::int64_t inner = 0;       ///< width inside of the MLP, of each half where it is gated
  std::int64_t patch = 0;       ///< pixels a side
  std::int64_t grid = 0;        ///< patches a side that the positions were trained for
  std::int64_t prefix = 1;      ///< tokens with positions before the patches: class, distillation
  std::int64_t registers = 0;   ///< tokens without positions between those and the patches
  std::int64_t pool_inner = 0;  ///< width inside of the MLP of an attention head
  std::int64_t embed = 0;       ///< width that kProjected gives
  bool swiglu = false, patch_bias = true, norm_before = false, norm_after = true, fc_norm = false;
  bool antialias = false;  ///< of positions that are interpolated
  TowerActivation activation = TowerActivation::kGelu;
  TowerPooling pooling = TowerPooling::kClass;
  double eps = 1e-6;

  std::int64_t image_res() const { return patch * grid; }
  std::int64_t pooled_width() const { return pooling == TowerPooling::kProjected ? embed : width; }
  /// "ViT-B/16", "ViT-L/14@518", "ViT-64x3/16" for sizes without a name.
  std::string name() const;
  /// All that decides on results besides the weights' names, shapes and values.
  std::string settings() const;
};

/// Which prefix of a tower's name the user gave, or model_type stands for.
enum class VitKind { kVit, kDinov2, kSiglip };
std::string_view to_string(VitKind kind);  ///< "vit", "dinov2", "siglip"

/// From tensors under our names (to_tower_names), LayerScale folded or not: heads as the published models of that width
/// have, 0 where there is none and 64 does not divide it. Throws DataError naming `where` and the tensor that is
/// missing or of an odd shape.
VitTowerOptions vit_tower_options(const StateDict& named, VitKind kind, TowerNaming naming, std::string_view where);

/// What transformers' config.json adds: heads, activation, epsilon. Throws DataError if it says other sizes than the
/// shapes, or asks for what is not built here.
void apply_vit_config(VitTowerOptions& options, VitKind kind, std::string_view json, std::string_view where);

/// Whether the text is transformers' configuration of such a model ("model_type").
bool is_vit_config(std::string_view json, VitKind kind);

/// Throws DataError unless every size is known and they fit each other.
void check_vit_tower_options(const VitTowerOptions& options, std::string_view where);

}  // namespace vicha
