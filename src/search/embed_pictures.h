// Picture files through a model: into the journal of an index, or into memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "concepts/store/store.h"
#include "search/picture_list.h"
#include "search/search_model.h"

namespace vicha {

struct PictureReading {
  std::uint64_t content = 0;  ///< content_hash of the bytes
  std::string cause;          ///< why it could not be embedded; empty: it was, or need not be
};

struct EmbedPicturesOptions {
  std::int64_t threads = 0, batch = 0;  ///< 0: all, and what suits the model
};

/// Reads the pictures; those whose content neither `known` (any number of threads) nor the journal has are embedded, at
/// length 1, under content_key(content) with their picture_hash as content. Files that cannot be read, or for which the
/// model gives no finite vector, say so in their reading. Depends on the list alone, not on what the journal had.
std::vector<PictureReading> embed_pictures(SearchModel& model, const std::vector<const ListedPicture*>& pictures,
                                           const std::function<bool(std::uint64_t)>& known,
                                           EmbeddingStoreWriter& journal, const EmbedPicturesOptions& options,
                                           std::int64_t& embedded);

struct EmbeddedFiles {
  at::Tensor unit;                       ///< (n, E); rows of files that cannot be read are 0
  std::vector<PictureReading> readings;  ///< n
};
EmbeddedFiles embed_files(SearchModel& model, const std::vector<std::filesystem::path>& files);

/// (n, E), at length 1. Throws DataError naming the text for which the model gives no finite vector.
at::Tensor embed_unit_texts(SearchModel& model, const std::vector<std::string>& texts);

}  // namespace vicha
