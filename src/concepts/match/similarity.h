// How well the images and captions of a manifest fit each other: the cosine of their embeddings (method,
// section 6.4).
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "concepts/store/store.h"

namespace vicha {

/// The pairs of image and caption of a manifest in its order: a record with n captions is n pairs. Memory: 24 bytes a
/// record and 4 a pair; the records stay in the file.
struct ManifestPairs {
  static constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();  ///< no embedding, or one without length

  struct Record {
    std::uint64_t offset = 0;      ///< of its JSON text in the file, bytes
    std::uint64_t first_pair = 0;  ///< its pairs end where the next record's begin
    std::uint32_t length = 0;      ///< bytes
    std::uint32_t image = 0;       ///< equal numbers: equal `image`
  };

  std::filesystem::path file;
  std::uint64_t file_bytes = 0;
  bool lines = false;  ///< JSON lines
  std::vector<Record> records;
  std::vector<float> sims;  ///< of each pair
  std::int64_t images = 0;

  std::int64_t unknown = 0;   ///< pairs
  std::string first_unknown;  ///< where and why

  std::uint64_t end_pair(std::size_t record) const {
    return record + 1 < records.size() ? records[record + 1].first_pair : sims.size();
  }
  std::span<const float> sims_of(std::size_t record) const {
    return std::span(sims).subspan(records[record].first_pair, end_pair(record) - records[record].first_pair);
  }
};

/// From what the records carry: `sim`, a number, where there is one caption; `sims`, a list as long as `caption`, where
/// there are several. Throws DataError naming the record that lacks it.
ManifestPairs saved_similarities(const std::filesystem::path& manifest);

/// From stores of one source: images under the names that the manifest gives them (of several vectors, the first: the
/// whole image), captions under caption_key. Accumulated in double precision, so that nothing else decides on the
/// result. Throws DataError if the stores differ in source or width, or the manifest is not right.
ManifestPairs stored_similarities(const std::filesystem::path& manifest, const EmbeddingStore& images,
                                  const EmbeddingStore& captions);

}  // namespace vicha
