// Captions of manifests as vectors of a source, in an embedding store keyed by the captions themselves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/embed/captions.h"
#include "concepts/source/source.h"
#include "concepts/store/store.h"

namespace vicha {

struct EmbedCaptionsOptions {
  StoreType type = StoreType::kFloat16;
  std::int64_t batch_size = 256;
};

struct EmbedCaptionsReport {
  std::int64_t captions = 0;  ///< distinct ones
  std::int64_t embedded = 0, known = 0;
  double seconds = 0;
};

/// Appends to `store` what it does not hold yet of the manifests' captions, in their order. A batch's captions depend
/// on the manifests alone, so that a run that was killed and repeated ends with the same vectors. Memory: the distinct
/// captions. Throws DataError where a manifest is not right or the store belongs to another source.
EmbedCaptionsReport embed_captions(ConceptSource& source, const std::vector<std::filesystem::path>& manifests,
                                   const std::filesystem::path& store, const EmbedCaptionsOptions& options = {});

}  // namespace vicha
