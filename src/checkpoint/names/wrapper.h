// What training programs put before the names of the model that they train: Lightning's `model.`, a `net.`,
// `backbone.`, `teacher.`, one after another too.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "checkpoint/names/names.h"

namespace vicha {

/// The prefix under which a model lies that is known by one of its tensors; nothing if there is none, "" if nothing is
/// before it. Of several models (a student and its teacher) the one that programs mean for use; throws DataError naming
/// `where` and two of them if that cannot be told.
std::optional<std::string> wrapper_prefix(const StateDict& tensors, std::string_view where);

/// The model without that prefix. Tensors beside it (losses, a student) are left out, reported, and named by their
/// number in the log.
StateDict without_wrapper(const StateDict& tensors, std::string_view where, RenameReport* report = nullptr);

}  // namespace vicha
