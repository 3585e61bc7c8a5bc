// Small JSON files that come with weights.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace vicha {

/// The object that the text of such a file holds. Throws DataError naming `where`, why it cannot be read (empty, a
/// pointer of Git LFS, no JSON and at which line, nested too deeply, no object) and what to do: a file that is there
/// and cannot be read must not count as one that is not there, where something else would be assumed.
nlohmann::json settings_object(std::string_view text, std::string_view where);

}  // namespace vicha
