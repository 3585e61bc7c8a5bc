// Weights under a prefix that is not theirs. Used inside this room only.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/error.h"
#include "checkpoint/names/tower_names.h"

namespace vicha::towers {

/// The prefix under which weights of such names are given: "dinov2". Empty: no tower reads them.
inline std::string_view prefix_of(TowerNaming naming) {
  switch (naming) {
    case TowerNaming::kTimm:
    case TowerNaming::kHuggingFaceVit:
      return "vit";
    case TowerNaming::kMetaDinov2:
    case TowerNaming::kHuggingFaceDinov2:
      return "dinov2";
    case TowerNaming::kSiglip:
      return "siglip";
    case TowerNaming::kClip:
      return "clip";
    case TowerNaming::kBert:
      return "bert";
    case TowerNaming::kReleased:
    case TowerNaming::kUnknown:
      break;
  }
  return "";
}

/// Throws the DataError that names the weights for what they are, and the prefix that is theirs.
[[noreturn]] inline void refuse_kind(const StateDict& tensors, std::string_view wanted, std::string_view where) {
  const std::string_view prefix = prefix_of(detect_tower_naming(tensors));
  throw DataError(where, fmt::format("the weights {}, not {}", tower_likeness(tensors), wanted),
                  prefix.empty() ? "" : fmt::format("Give them as {}:{}", prefix, where));
}

}  // namespace vicha::towers
