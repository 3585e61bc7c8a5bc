// What is said of an index that is not whole any more.
#pragma once

#include <string_view>

#include "base/error.h"

namespace vicha {

inline constexpr std::string_view kRepeatIndex =
    "Repeat `vicha index`: it makes anew what is missing or damaged, and embeds nothing again that it still has";

/// A part of an index is missing or damaged; `vicha index` makes it anew.
class DamagedPart : public DataError {
 public:
  DamagedPart(std::string_view part, std::string_view what, std::string_view remedy = kRepeatIndex)
      : DataError(part, what, remedy) {}
};

}  // namespace vicha
