// Sizes of a CLIP, from its weights' shapes and, where shapes do not tell, from a configuration beside them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "checkpoint/tensors/state_dict.h"
#include "nn/vit_block.h"

namespace vicha {

struct ClipTowerOptions {
  std::int64_t width = 0, depth = 0, heads = 0, inner = 0;
  Activation activation = Activation::kQuickGelu;
  double eps = 1e-5;
};

/// Which row of the last layer gives a text's feature.
enum class TextPool {
  kEnd,    ///< that of the end token (ClipOptions::end_id)
  kFirst,  ///< the first
  kLast    ///< the last of a text that is padded to `context`
};
/// What of the last layer gives an image's feature: the class token, or a mean.
enum class ImagePool { kClassToken, kPatches, kAllTokens };

struct ClipOptions {
  ClipTowerOptions vision, text;
  std::int64_t image_res = 0, patch = 0;
  std::int64_t vocabulary = 0, context = 0;  ///< tokens: known, most in a text
  std::int64_t embed = 0;                    ///< E, width of the joint space
  /// The token whose first place in a text gives its feature; none: the largest id, as OpenAI's code finds it.
  std::optional<std::int64_t> end_id;
  TextPool text_pool = TextPool::kEnd;
  bool text_causal = true;  ///< a token sees itself and earlier ones only
  ImagePool image_pool = ImagePool::kClassToken;
  bool norm_after_pool = false;  ///< of a mean over images' tokens: taken before the final norm

  /// Whether texts must be padded (with token 0) to `context`, because what stands behind their end counts.
  bool reads_padding() const { return !text_causal || text_pool == TextPool::kLast; }
  std::int64_t tokens() const { return 1 + (image_res / patch) * (image_res / patch); }
  std::int64_t parameters() const;
  /// "ViT-B/32", "ViT-L/14@336", "ViT-64x3/16" for sizes without a name.
  std::string name() const;
};

/// From tensors under our names (checkpoint/names/clip_names.h): heads = width / 64 and the quick GELU, as OpenAI's
/// models have; a width that 64 does not divide leaves 0 heads. Throws DataError naming `where` and the tensor that is
/// missing or of an odd shape.
ClipOptions clip_options(const StateDict& named, std::string_view where);

/// What a Hugging Face `config.json` or an `open_clip_config.json` adds: heads, activation, epsilon, the end id, masks
/// and pooling. Throws DataError if it is none of these, asks for what is not built here (naming the key and its
/// value), or says other sizes than the shapes. Keys that are not known are named in a warning.
void apply_clip_config(ClipOptions& options, std::string_view json, std::string_view where);

/// Whether the text is one of these configurations.
bool is_clip_config(std::string_view json);

/// Throws DataError unless every size is known and they fit each other.
void check_clip_options(const ClipOptions& options, std::string_view where);

}  // namespace vicha
