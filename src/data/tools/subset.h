// A part of a manifest, and several manifests as one. Records are streamed; those that stay keep their bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "data/tools/subset_share.h"

namespace vicha {

struct SubsetOptions {
  std::optional<std::int64_t> count = {};  ///< one of the two
  std::optional<Share> share = {};
  bool random = false;     ///< the first ones otherwise
  std::uint64_t seed = 0;  ///< equal seeds and manifests give equal subsets
};

struct SubsetReport {
  std::int64_t records = 0, kept = 0;
};

/// The records that stay keep their order. A count beyond the manifest's is all of it. Memory: one record. Throws
/// UsageError unless one of count and share is given and is at least one record.
SubsetReport take_subset(const std::filesystem::path& in, const std::filesystem::path& out,
                         const SubsetOptions& options);

struct JoinOptions {
  /// Leave `image_id` as it is. Otherwise, since equal ids in different files are different images, it gets the name
  /// of its file in front: "coco/42".
  bool keep_ids = false;
};

/// All records of `files`, in order. Relative names of images are rewritten so that they are right from `out`'s
/// folder. Returns the number of records. Throws UsageError if there is no file.
std::int64_t join_manifests(const std::vector<std::filesystem::path>& files, const std::filesystem::path& out,
                            const JoinOptions& options = {});

}  // namespace vicha
