// Between PyTorch's checkpoints and safetensors, losing nothing either way.
#pragma once

#include <filesystem>
#include <string_view>

#include "checkpoint/tensors/state_dict.h"

namespace vicha {

/// The weights (see `locate_model_state`) keep their names. Everything else of a checkpoint stays too: other tensors
/// (optimizer states) under names that start with kExtraPrefix, and the whole tree of containers, numbers, texts and
/// tensor layouts as JSON in the metadata entry kTreeKey. A tensor that shares its storage with another is written
/// under both names. Memory: the checkpoint once.
void convert_pth_to_safetensors(const std::filesystem::path& from, const std::filesystem::path& to);

/// The way back: equal value by value under torch.load, with the same containers, order, types, strides and sharing.
/// A safetensors file that was no .pth before becomes an OrderedDict of its tensors. Throws DataError if tensors were
/// added or removed, or tied ones no longer agree.
void convert_safetensors_to_pth(const std::filesystem::path& from, const std::filesystem::path& to);

inline constexpr std::string_view kExtraPrefix = "vicha.pth/";
inline constexpr std::string_view kTreeKey = "vicha.pth";

/// Without the tensors that only the way back needs.
StateDict without_extra(const StateDict& tensors);

}  // namespace vicha
