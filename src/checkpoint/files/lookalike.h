// Files that lie where weights should, by what they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace vicha {

/// Throws DataError naming the file if it is empty, a pointer of Git LFS, a web page, an archive, a picture, or a model
/// of another program (TensorFlow, Flax, ONNX, GGUF, …): what it is and what to do. `head`: the first kFileHead bytes
/// (base/file_content.h). Returns if it is nothing known; formats that are read are tried first.
void refuse_lookalike(const std::filesystem::path& path, std::string_view head, std::uint64_t size);

/// Throws DataError: the folder holds no weights that are known by their name, and what it holds instead.
[[noreturn]] void refuse_folder(const std::filesystem::path& path);

}  // namespace vicha
