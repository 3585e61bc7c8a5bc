// The fields of a record as its text has them, so that a tool that changes one of them leaves the others' bytes alone:
// a parser holds no integer of more than 64 bits, nor 1e999.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

struct JsonMember {
  std::string key;
  std::string_view value;  ///< its bytes, of the text that was given
};

/// Those of the object itself, in order, as often as they stand there. `object`: text that a parser has taken, but for
/// NaN and infinities, "{" at the front.
std::vector<JsonMember> json_members(std::string_view object);

/// The first key that stands there a second time; none where each stands once.
std::optional<std::string> repeated_key(std::string_view object);

/// Without the white space between what it holds.
std::string without_space(std::string_view json);

/// The first number that a value would not keep: an integer of more than 64 bits, one that is too large for a double,
/// or so small that it becomes 0. Empty if there is none. Looks outside of strings.
std::string_view number_not_kept(std::string_view json);

}  // namespace vicha
