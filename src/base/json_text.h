// JSON for files and terminals, and what the parser says against JSON, in words.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace vicha {

/// The value as text. A name of a file may be any bytes, but JSON has UTF-8 alone: where a text of the value is none,
/// it is written as `printable` shows it ("caf\xe9.json"). This is for names that are only told; one that is to be
/// found again by what is written is refused before the work, by require_utf8.
std::string json_text(const nlohmann::json& json, int indent = -1);
std::string json_text(const nlohmann::ordered_json& json, int indent = -1);

/// Throws DataError, with `where` for the place, unless `name`, which will stand in a file of JSON, is UTF-8.
void require_utf8(std::string_view name, std::string_view where);

/// A message of the parser's without what is of use to programmers only: "[json.exception.parse_error.101] parse error
/// at line 1, column 5: syntax error; last read …" gives "syntax error". It may hold bytes of the input: `printable`.
std::string json_reason(std::string_view message);

}  // namespace vicha
