// Features of a manifest's pictures and captions: out of stores that the user names, or made by the towers.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "features/picture_encoder.h"
#include "features/text_encoder.h"
#include "tasks/align/align_data.h"
#include "tasks/align/align_recipe.h"

namespace vicha {

/// Towers that are opened when they are first needed; an empty function where none is known.
struct TowerAccess {
  std::function<const PictureEncoder&()> pictures = {};
  std::function<const TextEncoder&()> texts = {};
};

/// Where the features of one manifest lie.
struct FeaturePlaces {
  std::filesystem::path image_store = {}, text_store = {};  ///< the user's; empty: none, and they are made
  std::filesystem::path own_images, own_texts;              ///< what is made
  /// A store of the user's that lacks some is no error: they are made, if there is a tower.
  bool may_make_others = false;
};

/// Opens the user's store, or appends to ours what it lacks and opens that. Throws DataError if the user's belongs to
/// another tower than the one that is known, naming both; lacks pictures; or holds another picture under a name. Where
/// pictures could not be read, no more than the options allow, the side has no records: the caller leaves them out.
FeatureSide picture_features(const ImageList& images, std::string_view manifest, const FeaturePlaces& places,
                             const TowerAccess& towers, const FeatureEmbedOptions& options);
FeatureSide caption_features(const std::vector<std::string>& keys, const std::vector<std::filesystem::path>& manifests,
                             const FeaturePlaces& places, const TowerAccess& towers, const EmbedOptions& options);

/// Leaves out pictures that no feature could be made of (embed_features has named them), with their pairs. Returns how
/// many pictures.
std::int64_t drop_pictures_without_features(PairList& list, const std::filesystem::path& store);

}  // namespace vicha
