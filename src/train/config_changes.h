// Whether a run may go on from a checkpoint that was made with another configuration.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/serialize.h"

namespace vicha {

struct ConfigChange {
  std::string key;          ///< "optimizer.lr"
  std::string description;  ///< "optimizer.lr was 0.0001, is 0.001"
};

/// Every leaf that differs between two JSON objects; either may have `moved` keys under their old names. A key that
/// `before` does not know is no change where `after` has the value of `defaults` (a JSON object, or empty): it is
/// younger. Throws DataError naming `where` if `before` is not JSON.
std::vector<ConfigChange> config_changes(std::string_view before, std::string_view after, std::string_view where,
                                         const std::vector<MovedKey>& moved = {}, std::string_view defaults = "");

/// Whether `key` is one of `patterns`: a whole key, or the start of some if it ends in a dot ("log.").
bool matches_key(std::string_view key, const std::vector<std::string>& patterns);

/// Keys that may change on resume: the run continues, with a warning, though not as it would have run before.
std::vector<std::string> resumable_keys();

}  // namespace vicha
