// What makers of models do with tensors that stand under the model's names: look at shapes, and fill all parameters.
#pragma once

#include <string>
#include <string_view>

#include "checkpoint/tensors/state_dict.h"
#include "nn/parameters.h"

namespace vicha {

/// "(768, 3, 16, 16)".
std::string shape_text(at::IntArrayRef shape);

/// The tensor of that name. Throws DataError naming `where` unless it has that many dimensions and holds something.
const at::Tensor& shaped(const StateDict& named, const std::string& name, std::int64_t dimensions,
                         std::string_view where);

/// Copies `named` into every parameter, strictly (checkpoint/names/load_report.h): DataError with `remedy` if a tensor
/// is missing, left over or of another shape.
void fill_parameters(const ParameterStore& store, const StateDict& named, std::string_view where,
                     std::string_view remedy);

}  // namespace vicha
