// Labels and words of a vocabulary, cleaned: shorter and kinder than what is done to captions (text/cleaning/caption).
// Text is UTF-8 in and out; except where said otherwise, other bytes are the caller's mistake (an assertion).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/utf8.h"

namespace vicha::cleaning {

using vicha::is_utf8;

/// Lower case, code point by code point.
std::string lower(std::string_view text);

/// Typographic quotes made plain, runs of white space made one blank, ends trimmed.
std::string clean(std::string_view text);

/// Length in bytes of the code point at the front of `text`, which is put into `point`; 0 where it is no UTF-8.
std::size_t next_point(std::string_view text, std::int32_t& point);

/// Calls `visit(point, bytes)` with each code point and the bytes it is written in.
template <class Visit>
void for_each_point(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    std::int32_t point = 0;
    const std::size_t length = next_point(text, point);
    VICHA_ASSERT(length > 0);
    visit(point, text.substr(0, length));
    text.remove_prefix(length);
  }
}

}  // namespace vicha::cleaning
