// What objectives over regions read beside pictures and captions (method, section 4): tags and features of regions,
// which regions are hidden, and the vocabulary of tags (docs/regions.md). B pictures, R regions of the model's grid, S
// cells of a stored grid, F numbers of a feature.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "concepts/match/assign.h"
#include "data/pipeline/loader.h"
#include "image/seen_part.h"
#include "models/model_options.h"
#include "objectives/objective_set.h"

namespace vicha {

inline constexpr const char* kRegionTagsFile = "region_tags.json";  ///< of a checkpoint: the vocabulary of tags

/// What the objectives that are on read of regions.
struct RegionNeeds {
  bool tags = false;       ///< records must have tags
  bool tags_too = false;   ///< their tags are read where they have such
  bool features = false;   ///< of the concept source
  bool hidden = false;     ///< MaskedRegions
  bool tagged = false;     ///< TaggedRegions
  bool crop_tags = false;  ///< the tag of each region, where it is encoded on its own (model.regions.encode = crops)

  bool any() const { return tags || tags_too || features || hidden || tagged || crop_tags; }
};
RegionNeeds region_needs(const ObjectivesOptions& objectives, const ModelOptions& model);
/// With the column of tags, where they are read.
Schema region_schema(const RegionNeeds& needs);

/// The distinct tags of a training set, the most frequent first, equally frequent ones by name.
class TagVocabulary {
 public:
  explicit TagVocabulary(std::vector<std::string> words);
  /// Of the manifest's column of tags.
  static TagVocabulary of(const Manifest& manifest);
  /// Of a checkpoint folder; nothing if it keeps none. Throws DataError naming the file if it is damaged.
  static std::optional<TagVocabulary> of_checkpoint(const std::filesystem::path& checkpoint);

  std::int64_t size() const { return static_cast<std::int64_t>(words_.size()); }
  const std::string& word(std::int64_t tag) const { return words_[static_cast<std::size_t>(tag)]; }
  /// -1 where the vocabulary does not have it.
  std::int64_t find(std::string_view word) const;
  /// Throws DataError, as require_same_tags, if the checkpoint keeps others. `where`: these.
  void require_of(const std::filesystem::path& checkpoint, const std::string& where) const;
  /// What kRegionTagsFile holds.
  std::string json() const;

 private:
  std::vector<std::string> words_;
  std::unordered_map<std::string, std::int64_t> number_;
};

/// Throws DataError naming both if a model that began with the one is given the other: its head's outputs are its tags.
void require_same_tags(const TagVocabulary& before, const std::string& where_before, const TagVocabulary& now,
                       const std::string& where_now);

/// The tag of each region: that of the stored cell which most of the region lies in; -1 if that has none, or if less
/// than half of the region lies in the picture. shares: grid_shares (R, S).
std::vector<std::int64_t> tags_seen(const std::vector<float>& shares, const std::vector<std::int64_t>& stored);
/// Features of the regions (R, F), means by area of the stored ones (S, F) brought to length 1; zeros where a region
/// lies outside of the picture.
at::Tensor features_seen(const std::vector<float>& shares, const at::Tensor& stored_SF);

/// The side of a square grid of so many cells; throws DataError naming `where`.
std::int64_t grid_side(std::size_t cells, const std::string& where);
/// What of a picture each view of a store of features shows; of none listed, the whole.
std::vector<SeenPart> seen_by_views(const std::string& view_list);

/// What region_targets needs.
struct RegionSetup {
  RegionNeeds needs;
  const ModelOptions& model;
  const DataOptions& data;
  std::shared_ptr<const Manifest> manifest;
  std::shared_ptr<const TagVocabulary> tags;  ///< null where no tags are read
  std::shared_ptr<const SampleText> text;
  std::vector<SeenPart> views = {};  ///< of stored features; empty: pictures of pixels
};
/// Adds RegionTargets, TaggedRegions and MaskedRegions, as far as they are needed, to batches that have ShownParts.
/// Throws DataError if a picture is not in the store of features.
TargetMaker region_targets(const RegionSetup& setup);

}  // namespace vicha
