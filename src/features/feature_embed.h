// `vicha embed`: pictures and captions of manifests through a frozen tower, once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "concepts/embed/embed.h"
#include "features/feature_store.h"
#include "features/picture_encoder.h"
#include "features/text_encoder.h"

namespace vicha {

struct FeatureEmbedOptions {
  EmbedOptions embed = {};                             ///< type, threads, ranks, bad pictures, trust_names
  std::vector<PictureView> views = {PictureView{}};    ///< of every picture
  bool patches = false;                                ///< also FILE.patches
};

/// Appends what FILE (and FILE.patches) do not have; resumable; the same bits whatever the threads and the kills. Throws
/// DataError if FILE belongs to another tower (naming both) or has another layout.
EmbedReport embed_features(const PictureEncoder& encoder, const ImageList& images, const std::filesystem::path& file,
                           const FeatureEmbedOptions& options);
/// All distinct captions of the manifests, each once, in the order of first appearance.
EmbedReport embed_texts(const TextEncoder& encoder, const std::vector<std::filesystem::path>& manifests,
                        const std::filesystem::path& file, const EmbedOptions& options);

}  // namespace vicha
