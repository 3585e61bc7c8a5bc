// A line of input of a prediction, a JSON object, and the pictures that it names.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace vicha {

/// The object of `input`. Throws DataError with the input's beginning and `remedy`, which says what is to be given,
/// unless it is JSON (else the reason), an object, nested no deeper than files of ours are (values are copied and
/// printed by recursion), with each field once and no number that would change when it is written again: an answer
/// gives back what was asked.
nlohmann::ordered_json input_object(const std::string& input, const std::string& remedy);

/// The picture's bytes. Throws DataError, with advice, where `file` names none of this machine: an address, say.
std::string read_picture(const std::filesystem::path& file);

}  // namespace vicha
