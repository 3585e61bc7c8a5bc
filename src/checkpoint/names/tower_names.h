// Picture towers (vision transformers) under the names of others. Ours are timm's, a little tidied: prefix_tokens (P,
// D), register_tokens (R, D), pos_embed (P + N, D), patch_embed.proj, blocks.I.{norm1, attn.qkv, attn.proj, ls1.gamma,
// norm2, mlp.fc1, mlp.fc2, ls2.gamma}, norm, fc_norm, norm_pre, pooler, attn_pool.{probe, qkv, proj, norm, mlp.fc1,
// mlp.fc2}.
#pragma once

#include <string>
#include <string_view>

#include "checkpoint/names/names.h"

namespace vicha {

enum class TowerNaming {
  kTimm,               ///< timm's, DeiT's and AugReg's VisionTransformer; DeiT III and DINOv2 as timm stores them, too
  kHuggingFaceVit,     ///< transformers' ViTModel and DeiTModel
  kMetaDinov2,         ///< DINOv2's own .pth
  kHuggingFaceDinov2,  ///< transformers' Dinov2Model, with registers or without
  kSiglip,             ///< transformers' SiglipVisionModel, or the whole SiglipModel
  kClip,               ///< a CLIP, whole or its picture tower: models/clip.h reads it
  kBert,
  kReleased,  ///< ViCHA's and ALBEF's
  kUnknown,
};
/// "a Hugging Face DINOv2": what people call weights under such names.
std::string_view to_string(TowerNaming naming);

/// What may stand before all of the names (`module.`, `vit.`, `backbone.`) does not matter.
TowerNaming detect_tower_naming(const StateDict& tensors);
/// "are a Hugging Face DINOv2", "hold no tensors", "are of an unknown model, the first tensor 'x'".
std::string tower_likeness(const StateDict& tensors);

/// The tensors under our names, of one of the first five namings: queries, keys and values joined, leading dimensions
/// of 1 removed, the distillation token behind the class token, rows of zeros where positions leave these out, zero
/// biases where no block has any for its queries. What is no part of the picture tower is left out and stands in
/// `report`. Throws DataError naming `where` if the names are of another model, of two towers, or lack a piece.
StateDict to_tower_names(const StateDict& tensors, std::string_view where, RenameReport* report = nullptr);

}  // namespace vicha
