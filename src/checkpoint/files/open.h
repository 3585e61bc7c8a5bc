// Weights from whatever the user points at.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/safetensors/safetensors.h"

namespace vicha {

enum class WeightsKind {
  kSafetensors,      ///< one .safetensors file
  kPth,              ///< one file of torch.save
  kHuggingFace,      ///< a folder with model.safetensors or pytorch_model.bin, whole or in shards
  kVichaCheckpoint,  ///< a folder that `vicha pretrain` and its kin write
};

struct Weights {
  StateDict tensors;
  WeightsKind kind = WeightsKind::kSafetensors;
  std::string what;                          ///< for people: "PyTorch checkpoint, its 'model'"
  std::vector<std::filesystem::path> files;  ///< what was read
  Metadata metadata;                         ///< of the (first) safetensors file
};

/// Finds out by content, not by ending, what `path` is (an index of shards, too) and reads it. With `map`, tensors of
/// safetensors files share a read-only memory map. Memory stays in proportion to the files. Throws DataError naming the
/// path and what it is instead, where it is no weights; and naming the tensor whose type (8-bit floats) no model has.
Weights open_weights(const std::filesystem::path& path, bool map = false);

/// Throws DataError naming `path` and the tensor if one has a type that no model here can be made of, or if the tensors
/// are views that repeat the file's data until they are far larger than it.
void require_usable(const StateDict& tensors, const std::filesystem::path& path);

/// Throws DataError unless `path` is a regular file that begins as weights do; what it is instead. True if it is
/// PyTorch's, false if it is a safetensors file.
bool is_pth_file(const std::filesystem::path& path);
/// Throws the exception that is being handled again; where memory or LibTorch failed, as a DataError naming `path`.
[[noreturn]] void rethrow_named(const std::filesystem::path& path);

/// Throws DataError unless there is something of that name.
void require_there(const std::filesystem::path& path);
/// Whether the file begins as JSON, so that it is to be read as an index of shards.
bool is_shard_index(const std::filesystem::path& path);

}  // namespace vicha
