// Recipes whose sections the file itself names.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

/// Names of the sections right below `section` ("row": of [row.a] and [row.b], "a" and "b"), those of the file's base
/// first, each file's in the order of its lines: for structs whose sections the file itself lists. Throws as
/// load_recipe for a file that cannot be read or is no TOML.
std::vector<std::string> section_names(const std::filesystem::path& file, std::string_view section);

}  // namespace vicha
