// Hugging Face's ViT and DeiT under timm's names.
#pragma once

#include <string_view>

#include "checkpoint/names/names.h"

namespace vicha {

/// Whether the tensors are those of transformers' ViTModel or one of its kin, with `vit.` or `deit.` before them or
/// without.
bool is_hugging_face_vit(const StateDict& tensors);

/// Under timm's names, queries, keys and values joined; poolers and classifiers are left out. Throws DataError naming
/// `where` and the tensor if one of the three is missing.
StateDict hugging_face_vit_to_timm(const StateDict& tensors, std::string_view where, RenameReport* report = nullptr);

}  // namespace vicha
