// Features of patches that a model reads instead of pixels: from the store that its recipe names, and of pictures that
// the store does not hold, made by the tower that made the others.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/embed/embed.h"
#include "data/manifest/manifest.h"
#include "data/pipeline/data_options.h"
#include "data/pipeline/picture_features.h"
#include "features/feature_store.h"
#include "tasks/host/feature_tower.h"

namespace vicha {

/// Of all pictures of a training set, from the store. Throws DataError naming manifest and store if too many are not
/// there (the few that may be bad give way to others, as unreadable files do), or unless `data.features.trust_names`,
/// if a picture has changed since.
std::shared_ptr<const PictureFeatures> training_features(std::shared_ptr<const FeatureStore> store,
                                                         const Manifest& manifest, const DataOptions& data);

/// What a store holds of pictures, for messages.
struct StoredNumbers {
  std::string name;     ///< "features"
  std::string command;  ///< that makes them
  std::string trust;    ///< the option that takes them by name
};
/// Reads the files of all listed pictures that the store has. Throws DataError naming the first that is not what the
/// store's record was made of, or cannot be read; contents that the store does not know count as the same.
void require_unchanged(const EmbeddingStore& store, const ImageList& list, const StoredNumbers& what);

/// What pictures of an evaluation set are given to a model.
struct EvaluationFeatures {
  const DataOptions& data;           ///< the model's recipe's, `manifests` the set's
  const SourceWeights& tower;        ///< whose features it reads
  std::string device = "auto";       ///< of the tower
  std::filesystem::path cache = {};  ///< store of what the tower makes; empty: beside the manifest
};
/// Of all pictures of the set: from the training store where it has the very same files, else made by the tower, once.
/// Throws DataError as open_feature_tower and embed_features do.
std::shared_ptr<const PictureFeatures> evaluation_features(const Manifest& manifest, const EvaluationFeatures& how);

/// Where a run keeps the features of pictures that it is evaluated on along the way.
std::filesystem::path run_feature_cache(const std::filesystem::path& run);
/// MANIFEST.<weights>.<suffix>, where vectors of a manifest's pictures are kept: beside it, or in a folder for
/// temporary files where that cannot be written; the log says so.
std::filesystem::path cache_beside(const std::filesystem::path& manifest, const SourceWeights& weights,
                                   std::string_view suffix);

/// Manifest::image_number in `manifest` of each listed picture; -1 where it names none of that file.
std::vector<std::int64_t> numbers_of(const ImageList& list, const Manifest& manifest);

}  // namespace vicha
