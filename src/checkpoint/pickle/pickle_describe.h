// What a checkpoint holds besides its weights, for people to read.
#pragma once

#include <string>

#include "checkpoint/pickle/pickle_value.h"

namespace vicha {

/// The tree as JSON text: tensors by type and shape, bytes by their number, objects of settings by their class and
/// content. `weights`, a dict of the tree, is left out but for the number of its tensors. Nothing reads this back: it
/// must never decide what a file that we write contains. Long texts are cut, and beyond `most` bytes (a little more is
/// possible) what is left is an ellipsis: shared parts may stand at any number of places.
std::string describe_pickle(const PickleValue& root, const PickleDict* weights = nullptr, std::size_t most = 16 << 20);

/// Whether the tree holds anything but the tensors of `weights`.
bool holds_more(const PickleValue& root, const PickleDict& weights);

}  // namespace vicha
