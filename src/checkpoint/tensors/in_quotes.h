// Names from strangers' files in messages.
#pragma once

#include <string>
#include <string_view>

namespace vicha {

/// 'name', without control characters and cut after 200 bytes.
std::string in_quotes(std::string_view name);

}  // namespace vicha
