// `vicha embed`: pictures and captions of manifests through a frozen tower, once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/embed/embed.h"
#include "features/feature_store.h"
#include "features/picture_encoder.h"
#include "features/text_encoder.h"

namespace vicha {

struct FeatureEmbedOptions {
  EmbedOptions embed = {};                           ///< type, threads, ranks, bad pictures, trust_names
  std::vector<PictureView> views = {PictureView{}};  ///< of every picture
  bool patches = false;                              ///< also FILE.patches
};

/// What --views says: "flip" (the picture and its mirror image), "flip+crops:N" (and N parts of it, half of them
/// flipped), "crops:N"; N is 4 where it is left out. The parts are the same for every picture and every run: sides of
/// 60 to 90 % in places that spread evenly. Throws UsageError on anything else.
std::vector<PictureView> views_named(std::string_view name);
/// "whole; flipped"; empty for the picture as it is alone. FeatureLayout::view_list.
std::string describe_views(const std::vector<PictureView>& views);

/// Whether SPEC is of texts only (bert, or a folder that says so); open_text_tower is then what opens it.
bool is_text_tower(std::string_view spec);

/// Appends what FILE (and FILE.patches) do not have; resumable; the same bits whatever the threads and the kills.
/// Throws DataError if FILE belongs to another tower (naming both) or has another layout.
EmbedReport embed_features(const PictureEncoder& encoder, const ImageList& images, const std::filesystem::path& file,
                           const FeatureEmbedOptions& options);
/// All distinct captions of the manifests, each once, in the order of first appearance. Those without a word (white
/// space, signs that no vocabulary knows) are embedded as what frames them, as transformers does, and counted in a
/// warning.
EmbedReport embed_texts(const TextEncoder& encoder, const std::vector<std::filesystem::path>& manifests,
                        const std::filesystem::path& file, const EmbedOptions& options);

}  // namespace vicha
