// How a CLIP's own files say that images are made ready for it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "image/clip_preprocess.h"

namespace vicha {

/// open_clip's `preprocess_cfg` (of the whole text of an open_clip_config.json) or transformers'
/// preprocessor_config.json (or processor_config.json, which has it inside): size, crop, filter, mean, deviation, and
/// so on. `side`: what the model reads. Throws DataError naming `where`, key and value for a size that the model does
/// not read and for what is not built here; keys that are not known are named in a warning. Nothing where the text says
/// nothing of images.
///
/// Of transformers' preprocessing the settings are taken, not the rounding: the centre is cropped as OpenAI's code
/// does, which for an odd rest may be one pixel beside.
std::optional<ClipView> clip_view_of(std::string_view json, std::string_view where, int side);

struct FoundClipView {
  ClipView view;               ///< OpenAI's where no file says anything
  std::filesystem::path file;  ///< that said it; empty: none
};

/// Looks into the model's configuration, if it is open_clip's, or else beside it (NAME.config.json has
/// NAME.preprocessor_config.json); without a configuration, into the folder that was given as weights.
FoundClipView find_clip_view(const std::filesystem::path& weights, const std::filesystem::path& config, int side);

}  // namespace vicha
