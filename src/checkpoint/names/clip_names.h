// CLIP's tensors under the names of others. Ours are OpenAI's, which open_clip has too: `visual.conv1.weight`,
// `transformer.resblocks.0.attn.in_proj_weight`, `text_projection`, `logit_scale`.
#pragma once

#include <string_view>

#include "checkpoint/names/names.h"

namespace vicha {

enum class ClipNaming {
  kOpenAi,              ///< OpenAI's own and open_clip's default
  kOpenClipCustomText,  ///< open_clip's CustomTextCLIP: the text tower below `text.`
  kHuggingFace,         ///< transformers' CLIPModel
  kUnknown,
};
std::string_view to_string(ClipNaming naming);

/// Prefixes of DataParallel, torch.compile and training programs (wrapper.h) may be there.
ClipNaming detect_clip_naming(const StateDict& tensors, std::string_view where = "weights");

/// The tensors under our names: queries, keys and values joined, projections as OpenAI stores them (width, E),
/// constants left out. Types stay as they are. Throws DataError naming `where` if the weights are no ViT CLIP's, saying
/// what they seem to be.
StateDict to_clip_names(const StateDict& tensors, std::string_view where, RenameReport* report = nullptr,
                        ClipNaming* naming = nullptr);

}  // namespace vicha
