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
/// safetensors files share a read-only memory map. Throws DataError naming the path and what was looked for.
Weights open_weights(const std::filesystem::path& path, bool map = false);

}  // namespace vicha
