// Weights between PyTorch's checkpoints and safetensors: tensors and their names, nothing else.
#pragma once

#include <filesystem>
#include <string>

#include "checkpoint/tensors/state_dict.h"

namespace vicha {

/// What a conversion did.
struct Conversion {
  std::size_t tensors = 0;
  std::string what;            ///< for people: which part of the file the weights are
  std::filesystem::path rest;  ///< describes what else the file held; empty if there was nothing else
};

/// The weights of the checkpoint under their names. What else the file held (settings, counters; optimizer states by
/// type and shape) is described for people in a JSON file beside `to`: `model.rest.json` for `model.safetensors`, or
/// `model.rest.2.json` and so on where something else has that name. Memory: the checkpoint once. Throws DataError if
/// the file holds no weights, or weights that `require_usable` refuses.
Conversion convert_pth_to_safetensors(const std::filesystem::path& from, const std::filesystem::path& to);

/// An OrderedDict of the tensors, as model.state_dict() is saved. The metadata are not looked at: nothing in the file
/// but names, types, shapes and data reaches the pickle.
Conversion convert_safetensors_to_pth(const std::filesystem::path& from, const std::filesystem::path& to);

/// Either of the two, by what `from` contains; a folder or an index of shards becomes one file of the kind that `to`
/// ends as. Throws UsageError if `to` ends as a file of the same kind or is the same file. Tensors that hold NaN or an
/// infinity are converted with a warning.
Conversion convert_weights(const std::filesystem::path& from, const std::filesystem::path& to);

/// Without the tensors under `vicha.pth/`, as which an earlier version kept a checkpoint's optimizer states.
StateDict without_extra(StateDict tensors);

}  // namespace vicha
