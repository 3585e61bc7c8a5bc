// Whether a run goes on with the data that it began with: checkpoints keep data.json, the digests of the manifests as
// training reads them (data/manifest/content_digest.h).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/manifest/content_digest.h"

namespace vicha {

inline constexpr const char* kDataRecord = "data.json";

/// What data.json holds.
std::string data_record(const std::vector<ContentDigest>& digests);

enum class DataMatch {
  kSame,
  kUnknown,  ///< the checkpoint is from before such records were kept; the log says so
  kChanged,  ///< and `allow_changes` was given; the log names what differs
};

/// Compares the data of a checkpoint folder with today's. Throws DataError that names what differs and how to go on all
/// the same where it does and that is not allowed, or if the record is damaged.
DataMatch compare_data(const std::filesystem::path& checkpoint, const std::vector<ContentDigest>& now,
                       bool allow_changes);

}  // namespace vicha
