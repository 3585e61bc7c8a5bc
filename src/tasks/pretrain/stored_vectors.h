// Vectors of a training set's pictures or captions in a store, found by name. What is not there is an error: nothing is
// left out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/embed/embed.h"
#include "concepts/store/store.h"
#include "data/manifest/manifest.h"

namespace vicha {

/// Throws DataError: the store has no vector of `count` of the training set's `what` ("pictures"), the first of which
/// is named.
[[noreturn]] void report_missing(const EmbeddingStore& store, std::string_view what, std::string_view first,
                                 std::size_t count, const std::string& remedy);

/// A store's record of each picture of the manifest, by Manifest::image_number. Throws DataError if some are missing.
std::vector<std::int64_t> records_of_pictures(const EmbeddingStore& store, const ImageList& list,
                                              const Manifest& manifest, const std::string& remedy);

}  // namespace vicha
