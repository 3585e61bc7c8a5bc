// Where a checkpoint's tree has the weights, and what they are called.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/pickle/pickle_value.h"
#include "checkpoint/tensors/state_dict.h"

namespace vicha {

/// Every tensor of the tree under its path: keys and list positions joined by dots ("optimizer.state.0.exp_avg").
/// Throws DataError naming `where` if two tensors have the same path, or if shared parts make the paths endless.
StateDict flatten_tensors(const PickleValue& root, std::string_view where = "checkpoint");

/// Whether the value is a dict with text keys that holds at least one tensor directly.
bool is_state_dict(const PickleValue& value);

/// Where the weights of a checkpoint are.
struct ModelState {
  std::string key;                  ///< "model", "state_dict.model" and the like, or "" for the top-level dict
  const PickleDict* dict;           ///< lives as long as the tree it was found in
  std::vector<std::string> others;  ///< places of further weights, such as 'model_ema' beside 'model'
};

/// The weights under the keys where training programs put them ('model', 'state_dict', 'teacher', …, one inside another
/// too), else at the top level, else, where none of those keys is there, in the only dict of named tensors. Throws
/// DataError naming `where`, saying what the tree is, if there are none; and where two tensors could be meant by one
/// name (`{'a.b': X, 'a': {'b': Y}}`), naming both places.
ModelState locate_model_state(const PickleValue& root, std::string_view where = "checkpoint");

/// The tensors of `locate_model_state`, in order; values that are no tensors (such as OpenAI's `input_resolution`
/// where it is a plain number) are skipped.
StateDict model_tensors(const ModelState& state);
StateDict find_model_state(const PickleValue& root, std::string_view where = "checkpoint");

}  // namespace vicha
