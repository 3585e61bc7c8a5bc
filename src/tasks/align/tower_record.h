// Which towers an aligned model stands on, and of which features it was made: towers.json of its checkpoints.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "concepts/source/provenance.h"

namespace vicha {

inline constexpr const char* kTowerRecord = "towers.json";

struct TowerOfSide {
  SourceWeights weights;   ///< the tower's identity, as stores of its features have it
  std::string spec;        ///< where it lay, with the whole path; empty: features came from a store alone
  std::int64_t width = 0;  ///< of a feature
  std::int64_t items = 0;  ///< that were trained on
  std::string contents;    ///< SHA-256 of what the pictures held (FeatureSide::contents)
  std::string moments;     ///< SHA-256 of mean and deviation of the features
};

struct TowerRecord {
  TowerOfSide image, text;
};

std::string to_json(const TowerRecord& record);
/// Of a checkpoint folder. Throws DataError naming the file if it is missing or damaged.
TowerRecord read_tower_record(const std::filesystem::path& checkpoint);

/// Throws DataError naming both sides if a run that goes on at `checkpoint` would read features of another tower, or
/// (unless `allow_changes`: then the log says so) other features of the same.
void require_same_features(const std::filesystem::path& checkpoint, const TowerRecord& now, bool allow_changes);

}  // namespace vicha
