// SPECs of towers (towers/registry.h) as names of files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace vicha {

/// "vit:weights" -> "vit:/home/me/weights", "weights" -> "/home/me/weights"; "" stays.
std::string absolute_tower_spec(std::string_view spec);
/// The file or folder that a SPEC names.
std::filesystem::path path_of_tower_spec(std::string_view spec);

}  // namespace vicha
