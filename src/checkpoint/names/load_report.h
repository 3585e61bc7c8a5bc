// Filling a model from weights, strictly: what was loaded, what was missing, what was left over, what was reshaped.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/tensors/state_dict.h"

namespace vicha {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

struct LoadReport {
  struct Reshaped {
    std::string name;
    std::vector<std::int64_t> from, to;
  };
  std::vector<std::string> loaded;      ///< names of the model's tensors, in its order; the reshaped ones too
  std::vector<std::string> missing;     ///< the model has them, the weights do not
  std::vector<std::string> unexpected;  ///< the weights have them, the model does not
  std::vector<Reshaped> reshaped;

  /// One line: "loaded 637 tensors, 2 reshaped (visual_encoder.pos_embed 1×197×768 → 1×257×768, …), 11 unexpected (…)".
  std::string summary() const;
  /// Everything, one name a line under a heading each.
  std::string listing() const;
};

/// Makes a tensor of `target_shape` from one of another shape (position interpolation), or returns an undefined tensor
/// if it has no way to.
using Reshape =
    std::function<at::Tensor(const std::string& name, const at::Tensor& source, at::IntArrayRef target_shape)>;

struct LoadPolicy {
  std::string where = "weights";                   ///< for messages: the file
  std::vector<std::string> allow_missing = {};     ///< patterns as in names.h; the tensors keep their values
  std::vector<std::string> allow_unexpected = {};  ///< patterns of tensors that are left aside
  Reshape reshape = {};
  std::string remedy = {};  ///< where sizes or names do not fit: what this caller's user can do
};

/// Copies `source` into `targets` by name, converting among floating types, or among whole-number types, and devices.
/// All is checked before anything is written: on a shape that does not fit, or a missing or unexpected tensor that the
/// policy does not allow, throws DataError naming the first ten and leaves the targets as they were; so it does on the
/// first tensor that holds NaN or an infinity.
LoadReport load_into(const NamedTensors& targets, const StateDict& source, const LoadPolicy& policy);

}  // namespace vicha
