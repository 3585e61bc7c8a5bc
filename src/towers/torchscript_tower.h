// Any network saved as TorchScript as a picture tower: LibTorch runs it. A TorchScript file is a program. It can take
// all memory or never end, and LibTorch's operations can read and write files; only run those of people you trust.
// Nothing but this class ever runs one: weights of every other kind are read without running anything.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "towers/tower.h"

namespace vicha {

/// FILE with a JSON beside it, NAME.json or FILE.json (docs/towers.md). Loads and runs it on blank pictures and on
/// noise. Throws DataError naming the file if there is no JSON (with an example of one), the file is no TorchScript,
/// lacks `forward`, the script throws (with its message, cut), gives something else than the JSON says (naming both),
/// or other features from run to run or with other pictures beside; `encode` throws likewise.
std::unique_ptr<ImageTower> load_torchscript_tower(const std::filesystem::path& file);

}  // namespace vicha
