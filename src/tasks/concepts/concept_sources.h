// Sources of concepts by their names on the command line.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "concepts/source/source.h"
#include "tasks/host/concept_options.h"

namespace vicha {

/// The field of "manifest:FIELD"; nothing for "clip:FILE" and "vicha:CHECKPOINT", which have towers. Throws UsageError
/// that lists the forms if `spec` has none of them.
std::optional<std::string> field_of_source(std::string_view spec);

/// Throws UsageError if `spec` has none of the forms or is a manifest's field, which has no towers; DataError as the
/// source's reader does.
std::unique_ptr<ConceptSource> open_concept_source(std::string_view spec, const ConceptSourceOptions& options = {});

}  // namespace vicha
