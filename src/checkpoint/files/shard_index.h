// Hugging Face's index of the files over which a model's tensors are spread.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace vicha {

/// Tensor and the name of the file beside the index that holds it, in the index's order; each tensor once.
using ShardIndex = std::vector<std::pair<std::string, std::string>>;

/// Reads {"weight_map": {tensor: file, …}, …}. Throws DataError naming the file if it is no index (saying what it
/// seems to be), names no tensor, one twice, or a file that does not lie beside it.
ShardIndex read_shard_index(const std::filesystem::path& path);

}  // namespace vicha
