// The kinds of objectives that recipes may name, in the order of the method's step.
#pragma once

#include <vector>

#include "objectives/objective.h"

namespace vicha {

/// The built-in kinds, then those that the program has added.
const std::vector<ObjectiveKind>& objective_kinds();

/// Makes one more kind known. For the start of a program, before it reads its command line: throws std::logic_error
/// once the kinds have been read. A key that is taken is such an error at the first look.
void add_objective_kind(ObjectiveKind kind);

/// nullptr where there is none of that key.
const ObjectiveKind* find_objective_kind(std::string_view key);

}  // namespace vicha
