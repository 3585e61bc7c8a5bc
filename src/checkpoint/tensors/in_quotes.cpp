#include "checkpoint/tensors/in_quotes.h"

#include "base/printable.h"

namespace vicha {

std::string in_quotes(std::string_view name) {
  constexpr std::size_t kLongest = 200;
  if (name.size() <= kLongest) return std::string("'").append(printable(name)).append("'");
  std::size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;  // not within a character
  return std::string("'").append(printable(name.substr(0, end))).append("…'");
}

}  // namespace vicha
