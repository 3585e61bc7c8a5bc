// The input of a prediction in messages.
#pragma once

#include <string>
#include <string_view>

#include "base/printable.h"

namespace vicha {

/// Its beginning, printable: it may be long, and any bytes.
inline std::string shown_input(std::string_view input) {
  constexpr std::size_t kShown = 80;
  if (input.size() <= kShown) return printable(input);
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(input[end]) & 0xC0) == 0x80) --end;  // not within a character
  return printable(input.substr(0, end == 0 ? kShown : end)) + "…";
}

}  // namespace vicha
