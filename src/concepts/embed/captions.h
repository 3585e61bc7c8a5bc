// Captions of manifests as things to embed.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest/string_pool.h"

namespace vicha {

/// What a store calls a caption: itself; a beginning and a hash where it is longer than a key may be. Empty for an
/// empty caption, which no store holds.
std::string caption_key(std::string_view caption);

/// The distinct captions of manifests that are not empty, in the order of their first appearance. Throws DataError
/// where a manifest is not right.
StringPool distinct_captions(const std::vector<std::filesystem::path>& manifests);

}  // namespace vicha
