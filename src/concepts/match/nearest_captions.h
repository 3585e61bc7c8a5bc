// The captions of another set that are nearest to each record: field `additional_captions`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "concepts/store/nearest.h"
#include "concepts/store/store.h"

namespace vicha {

struct NearestCaptionsOptions {
  std::int64_t k = 5;
  /// By the record's own captions (their mean direction where there are several); otherwise by its image.
  bool by_caption = false;
  bool scores = false;  ///< also write `additional_captions_sim`
  std::string field = "additional_captions";
  NearestOptions nearest = {};
};

struct NearestCaptionsReport {
  std::int64_t records = 0, captions = 0;  ///< captions: distinct ones of the other set
  std::int64_t unknown = 0;                ///< records without an embedding: they get an empty list
};

/// `queries` holds the images under their names, or (by_caption) the captions of `in`; `captions` those of `others`,
/// under caption_key. The same file may be both. A record's own captions are never among its additional ones. Streamed;
/// memory: the other set's distinct captions and their vectors (fp32). Throws DataError if the stores' sources differ,
/// or a caption of `others` is not in `captions`.
NearestCaptionsReport add_nearest_captions(const std::filesystem::path& in, const std::filesystem::path& out,
                                           const std::filesystem::path& others, const EmbeddingStore& queries,
                                           const EmbeddingStore& captions, const NearestCaptionsOptions& options = {});

}  // namespace vicha
