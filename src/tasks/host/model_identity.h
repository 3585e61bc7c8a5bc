// What tells one trained model from another: its weights, and what people call it.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/sha256.h"
#include "models/vicha.h"

namespace vicha {

/// SHA-256, not ended yet, of the names, types, shapes and values of the parameters that `counts` says yes to, in the
/// order of their names in checkpoints.
Sha256 hash_of_parameters(const Vicha& model, const std::function<bool(const Parameter& parameter)>& counts);

/// "my-run, step-001000" of a run's checkpoint, else the folder's own name.
std::string checkpoint_name(const std::filesystem::path& folder);

}  // namespace vicha
