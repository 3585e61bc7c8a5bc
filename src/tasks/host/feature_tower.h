// The tower whose features of patches a model reads instead of pixels: who it was in training, and where it is now.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "data/pipeline/data_options.h"
#include "features/feature_store.h"
#include "features/picture_encoder.h"
#include "models/model_options.h"

namespace vicha {

/// What a checkpoint keeps of the features that its model was trained on: tower.json.
struct FeatureTower {
  SourceWeights weights;
  std::int64_t views = 1;  ///< of each picture in the training store

  bool operator==(const FeatureTower& other) const { return weights.same(other.weights) && views == other.views; }
};
inline constexpr const char* kFeatureTowerFile = "tower.json";

std::string to_json(const FeatureTower& tower);
/// Of a checkpoint folder; nothing if its model reads pixels. Throws DataError naming the file if it is damaged.
std::optional<FeatureTower> feature_tower_of(const std::filesystem::path& checkpoint);
/// Throws DataError naming both if a run that began with the one cannot go on with the other.
void require_same_tower(const std::filesystem::path& checkpoint, const FeatureTower& now, const std::string& store);

/// The store that the recipe's data section names.
std::shared_ptr<const FeatureStore> open_feature_store(const FeatureInputOptions& options);
/// Makes the recipe's model of the size of the store's features, as far as it leaves that open. Throws UsageError
/// naming both where it says otherwise.
void fit_to_store(ModelOptions& model, const FeatureStore& store);

/// Opens the tower that `data.features.tower` names; pictures that end early are read or not as `data` says. Throws
/// DataError if it is none, if it is another than `expected` (naming both), or if nothing is named: `expected`, which
/// `where` holds, then is what to name.
std::unique_ptr<PictureEncoder> open_feature_tower(const DataOptions& data, const SourceWeights& expected,
                                                   std::string_view where, const std::string& device);

}  // namespace vicha
