// Texts with nothing in them.
#pragma once

#include <string_view>

namespace vicha {

/// Empty, or nothing but spaces, tabs and line ends.
inline bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

}  // namespace vicha
