// The page's own parts, embedded from web/ (cmake/Embed.cmake).
#pragma once

#include <string_view>

namespace vicha::embedded {

std::string_view report_css();
std::string_view report_js();

}  // namespace vicha::embedded
