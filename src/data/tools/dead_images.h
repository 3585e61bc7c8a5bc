// Removal of records whose image nobody can read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include "data/tools/check_image.h"

namespace vicha {

struct PruneOptions {
  std::filesystem::path image_root = {};  ///< as ManifestOptions
  std::int64_t strip_parts = 0;
  bool decode = true;          ///< false: only look whether the file is there and not empty
  bool keep_truncated = true;  ///< images that `data.truncated = "accept"` reads
  std::int64_t threads = 0;    ///< 0: one for each core
  std::function<void(std::int64_t records)> progress = {};
};

struct PruneReport {
  std::int64_t records = 0, kept = 0;
  std::int64_t images = 0, dead = 0, truncated = 0;  ///< distinct ones; truncated ones may be dead or kept
  std::int64_t wrong_checksums = 0;                  ///< these too
  std::int64_t known = 0;                            ///< images that a run that was killed had read well
};

/// "missing", "corrupt", …
std::string_view state_name(ImageFileState state);

/// Streams `in` to `out`; each image is looked at once. `list` gets a line {"image", "record", "state"} for each dead
/// image (its first record); no file is written, and an old one removed, if there is none. Memory: the images'
/// names. `out`.partial keeps what is found on the way: repeated after a kill, images that could be read are not read
/// again, and the end is the same files. Throws DataError naming the first image if all are dead: then the folder is
/// wrong, not the data.
PruneReport prune_manifest(const std::filesystem::path& in, const std::filesystem::path& out,
                           const std::filesystem::path& list, const PruneOptions& options = {});

}  // namespace vicha
