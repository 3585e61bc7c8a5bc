// SPECs of towers (towers/registry.h) as names of files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace vicha {

/// The file's name made absolute: in the folder FOLDER "vit:weights" -> "vit:FOLDER/weights", "weights" ->
/// "FOLDER/weights"; "" stays.
std::string absolute_tower_spec(std::string_view spec);
/// The file or folder that a SPEC names.
std::filesystem::path path_of_tower_spec(std::string_view spec);

}  // namespace vicha
