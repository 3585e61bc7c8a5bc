// state.json of a checkpoint: where the run stands.
#pragma once

#include <filesystem>
#include <string>

#include "train/checkpoint_folder.h"

namespace vicha {

/// `config`: of the run, whose hash is kept.
std::string state_json(const TrainState& state, const std::string& config);

/// Throws DataError naming the file and the key, if one is missing, of another type, or says what no run can be at.
TrainState read_state(const std::filesystem::path& file);

}  // namespace vicha
