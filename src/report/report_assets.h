// The page's own parts, compiled in from web/ (src/CMakeLists.txt).
#pragma once

#include <string_view>

namespace vicha {

std::string_view report_style();   ///< web/report.css
std::string_view report_script();  ///< web/report.js

}  // namespace vicha
