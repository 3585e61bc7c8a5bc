// The parts of `vicha concepts`, one function and one file each (concepts_parse.cpp, …).
#pragma once

#include "cli/commands.h"

namespace vicha::cli {}  // namespace vicha::cli
