// The JSON beside a TorchScript file: what the network reads and what its output is. Used inside this room only.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "towers/tower.h"

namespace vicha::towers {

/// Where among what a script returns: the tensor itself, an item of a tuple or list, a value of a dictionary (or a
/// named field of a tuple).
struct OutputPlace {
  std::optional<std::int64_t> index;
  std::string name;

  bool whole() const { return !index && name.empty(); }
  std::string describe() const;  ///< "its output", "its output 1", "its output 'pooled'"
};

struct TorchScriptSettings {
  TowerInput input;
  std::optional<OutputPlace> pooled, patches;  ///< at least one; pooled is the patches' mean where only these are given
  bool channels_last = true;                   ///< how pixels lie in memory on a CPU: convolutions are faster so
  bool optimize = true;                        ///< frozen on a CPU, what can be done at once joined
  std::int64_t skip_tokens = 0;                ///< rows before the patches in an output (B, tokens, D)
};

/// Throws DataError naming `where` and the key that is missing, unknown (with the nearest that is known) or wrong.
TorchScriptSettings torchscript_settings(std::string_view json, const std::string& where);

/// What such a file looks like, for messages.
std::string_view torchscript_example();

}  // namespace vicha::towers
