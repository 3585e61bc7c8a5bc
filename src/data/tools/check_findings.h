// The kinds of findings of a check. Used inside of this room only.
#pragma once

#include <array>
#include <cstddef>

#include "data/tools/check.h"

namespace vicha {

enum Kind : std::size_t {
  kFields,
  kMissing,
  kCorrupt,
  kTruncated,
  kChecksum,
  kUnknownFormat,
  kSharedIds,
  kSeveralIds,
  kEmptyCaptions,
  kNoConcepts,
  kEqualFiles,
  kRepeatedRows,
  kLongCaptions,
  kTurned,
  kKinds,
};

/// All kinds, nothing found.
std::array<Finding, kKinds> no_findings();

}  // namespace vicha
