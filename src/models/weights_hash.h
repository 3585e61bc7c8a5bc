// What identifies weights.
#pragma once

#include <string>
#include <string_view>

#include "nn/parameters.h"

namespace vicha {

/// SHA-256 of the parameters' names, shapes and fp32 values, and of `settings`: equal for the same weights under other
/// names, in another file or stored as fp16.
std::string weights_sha256(const ParameterStore& store, std::string_view settings);

/// How many numbers the parameters hold, in millions: "86 M parameters".
std::string parameter_count(const ParameterStore& store);

}  // namespace vicha
