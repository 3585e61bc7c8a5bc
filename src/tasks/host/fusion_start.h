// Where fusion layers begin: joint ones as BERT's, and those of one kind never as those of the other.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/tensors/state_dict.h"
#include "models/model_options.h"

namespace vicha {

/// BERT's weights, of `layers` layers, for a model with joint fusion: layer k of the decoder begins as layer k. The
/// number of text and fusion layers that are filled then. `file`: for the log, which says what begins as what.
std::int64_t fill_joint_layers(StateDict& weights, const TextOptions& text, std::int64_t layers,
                               const std::string& file);

/// Throws DataError naming `file` and the key if the weights, by released names, are of a model of the other kind of
/// fusion (model.fusion.kind).
void require_fusion_kind(const ModelOptions& options, const StateDict& weights, const std::string& file);

}  // namespace vicha
