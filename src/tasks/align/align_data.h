// Pairs of manifests and the stored features of both sides.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "align/features.h"
#include "data/manifest/content_digest.h"
#include "data/pipeline/data_options.h"
#include "features/feature_embed.h"
#include "metrics/recall.h"

namespace vicha {

/// Pictures and captions of manifests by the names that stores know them by, each once, and the pairs between them.
struct PairList {
  ImageList images;                    ///< items of the picture side: images.keys
  std::vector<std::string> texts;      ///< items of the text side: keys of captions
  std::vector<FeaturePair> pairs;      ///< in the order of the manifests; groups are not set
  std::vector<ContentDigest> digests;  ///< what the manifests say
  std::int64_t empty_captions = 0;     ///< left out
};
/// Throws DataError as Manifest does.
PairList read_pairs(const DataOptions& data);

/// Features of one side as a run reads them, and what identifies them.
struct FeatureSide {
  std::shared_ptr<const FeatureStore> store;
  std::vector<std::int64_t> records;  ///< of each item
  std::int64_t views = 1;

  /// All items in their order; the store is kept open.
  FeatureMatrix matrix() const;
  /// SHA-256 of what the pictures' files held when they were embedded, in the order of the items.
  std::string contents() const;
};

/// Of all keys. Throws DataError as FeatureStore does.
FeatureSide open_side(const std::filesystem::path& store, FeatureKind kind, const std::vector<std::string>& keys,
                      std::string_view manifest);

/// Throws DataError, naming the picture and both sides, if a picture's file is another than when it was embedded. Looks
/// at all of up to 10,000 pictures, at as many spread evenly of more; files that are not there cannot be compared.
void require_same_pictures(const ImageList& images, const FeatureSide& side);

}  // namespace vicha
