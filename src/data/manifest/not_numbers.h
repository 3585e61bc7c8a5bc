// NaN and infinities in text that is JSON otherwise: Python's json writes them (`NaN`, `Infinity`), JSON has no such
// thing, and a number like 1e999 is read as one.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

struct NotANumber {
  std::size_t at = 0;  ///< of its `null` in the mended text, bytes
  std::string word;    ///< as the text has it: "NaN", "-Infinity", "1e999"
};

struct MendedJson {
  std::string text;  ///< with null for each of them: right JSON if nothing else is wrong
  std::vector<NotANumber> places;
};

/// Nothing if there are none. Looks outside of strings only; takes several times as long as a copy, so it is for texts
/// that a parser has refused.
std::optional<MendedJson> without_not_numbers(std::string_view text);

/// What a record's text says, null where it has NaN or an infinity; discarded where it is not JSON otherwise either.
nlohmann::ordered_json value_without_not_numbers(std::string_view text);

/// Whether all of `word` is such a value.
bool is_not_a_number(std::string_view word);

/// What to do about one in a field that is read.
inline constexpr const char* kNotANumberRemedy =
    "Python writes NaN where a value is missing (pandas: fillna, or dropna before to_json): write a value, or leave "
    "the "
    "record out";

}  // namespace vicha
