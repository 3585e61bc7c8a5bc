// The elements of one large JSON object, one after the other. Used inside of this room only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace vicha {

/// What one JSON object may have, bytes: it is held as text.
inline constexpr std::uint64_t kMostJsonBytes = std::uint64_t{8} << 30;

/// Called with what the object holds in its values that are lists or objects: the value's key, the element's key ("" in
/// a list), its number, the element; and with the values that are neither, by the empty `sub` and number -1, null for a
/// list or object that is empty.
using SeeElement = std::function<void(const std::string& top, const std::string& sub, std::int64_t number,
                                      nlohmann::ordered_json& element)>;

/// Reads a whole object, keeping one element at a time. Throws DataError naming file and line where it is not JSON.
void for_each_element(const std::filesystem::path& file, const SeeElement& see);

/// The elements of a list of lists, each with its number; what is nested deeper is left out of them. The file is
/// streamed. Throws DataError as above.
void for_each_list(const std::filesystem::path& file,
                   const std::function<void(std::int64_t number, const nlohmann::json& element)>& see);

}  // namespace vicha
